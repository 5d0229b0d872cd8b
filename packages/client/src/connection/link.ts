import type { CloseAction, ErrorMessage, Welcome } from '@tradewind/protocol';
import type { Core } from '../core.ts';
import {
  AuthError,
  ConnectError,
  ConnectionLostError,
  ProtocolError,
  TimeoutError,
  TradewindError,
} from '../errors.ts';
import { Timers } from '../timers.ts';
import type { Session, WebSocketConstructor, WebSocketLike, WireDecoder } from '../types.ts';
import { CONNECTION_LOST, closeMeaning, TOKEN_EXPIRED, UNAUTHORIZED } from './codes.ts';
import { type Frame, parseFrame } from './frames.ts';
import type { Freshness } from './freshness.ts';
import { Heartbeat } from './heartbeat.ts';
import { Requests, type RequestsOwner } from './requests.ts';
import { obtainToken, withDeadline } from './tokens.ts';
import { resumeWait } from './waits.ts';

/** `packages/protocol` calls it JSON_SUBPROTOCOL; a test compares them. */
export const SUBPROTOCOL = 'tradewind.v1.json';

const NORMAL = 1000;

/** States of a WebSocket. */
const OPEN = 1;
const CLOSED = 3;

/** The part of a token's life after which a new one is fetched: 0.8, give or take a tenth. */
const RENEW_AFTER = 0.7;
const RENEW_SPREAD = 0.2;

/** A node of an earlier release does not say how wide its clients should spread. */
type WelcomeFrame = Omit<Welcome, 'reconnect'> & {
  readonly reconnect?: { readonly spreadMs: number };
};

/** Why a connection ended. */
export interface LinkEnd {
  readonly error: TradewindError;
  readonly action: CloseAction;
  /** The close code; 1006 without one. */
  readonly code: number;
}

export interface LinkOwner extends RequestsOwner<Link> {
  readonly freshness: Freshness;
  /** A node has accepted this client. */
  accepted(link: Link): void;
  ended(link: Link, end: LinkEnd): void;
  degraded(link: Link): void;
  mustMove(link: Link, afterMs: number, deadlineMs: number): void;
}

/**
 * One connection, from the token to its end. Each attempt has a link of its own, and a link that is over tells its owner
 * nothing more: an old socket can do no harm, and one that opens late is closed.
 */
export class Link {
  readonly requests: Requests<Link>;
  readonly timers: Timers<unknown>;
  session: Session | undefined;
  degradedSince: number | undefined;
  /** Over how many ms the server asks its clients to spread when it dies. */
  spreadMs = 0;
  readonly #core: Core;
  readonly #owner: LinkOwner;
  readonly #attempt: number;
  readonly #isRefused: boolean;
  readonly #abort = new AbortController();
  #heartbeat: Heartbeat | undefined;
  #socket: WebSocketLike | undefined;
  /** Of binary frames, if the node has chosen them. */
  #decoder: WireDecoder | undefined;
  #closed: (() => void) | undefined;
  #isOver = false;
  #isWelcome = false;
  #isRenewing = false;
  /** The session that begins when the token is accepted. */
  #pending: Session | undefined;
  /** The code by which a token was refused; the close that follows may get lost. */
  #refusal: number | undefined;
  /** When something was sent whose answer tells the server's clock. */
  #askedAt = 0;
  #lastId = 0;

  /**
   * @param attempt attempts that failed before, from 0.
   * @param isRefused whether the last token was refused.
   */
  constructor(core: Core, owner: LinkOwner, attempt: number, isRefused: boolean) {
    this.#core = core;
    this.#owner = owner;
    this.#attempt = attempt;
    this.#isRefused = isRefused;
    this.timers = new Timers(core.surroundings);
    this.requests = new Requests(core, owner, this);
  }

  /** Connects. It never rejects: a failure is an end like any other. */
  async open(): Promise<void> {
    const { settings, surroundings } = this.#core;
    const { url: source, tokenTimeoutMs } = settings;
    try {
      const url =
        typeof source === 'function'
          ? await withDeadline('The URL', tokenTimeoutMs, this.#abort.signal, surroundings, source)
          : source;
      const token = await this.#token(this.#isRefused ? 'refused' : 'connect');
      if (!this.#isOver) this.#connect(String(url), token);
    } catch (error) {
      const known =
        error instanceof TradewindError ? error : new ConnectError('No URL could be had.', error);
      this.#end(known, error instanceof AuthError ? 'stop' : 'resume');
    }
  }

  /** Ends the connection; its owner is not told. Resolves when the socket is closed. */
  close(): Promise<void> {
    this.#isOver = true;
    this.#heartbeat?.stop();
    this.timers.clearAll();
    this.#abort.abort();
    return new Promise((resolve) => {
      const socket = this.#socket;
      this.#closed = resolve;
      if (socket === undefined || socket.readyState === CLOSED) resolve();
      else socket.close(NORMAL);
    });
  }

  /** Finds out within `probeTimeoutMs` whether the connection lives. */
  probe(): void {
    this.#heartbeat?.probe();
  }

  send(message: object): void {
    if (!this.#isOver && this.#socket?.readyState === OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  #token(reason: 'connect' | 'expiring' | 'refused'): Promise<string> | undefined {
    const { settings, surroundings } = this.#core;
    const { token, tokenTimeoutMs } = settings;
    if (token === undefined) return undefined;
    const context = { reason, attempt: this.#attempt };
    return obtainToken(token, context, tokenTimeoutMs, this.#abort.signal, surroundings);
  }

  #connect(url: string, token: string | undefined): void {
    const { settings, surroundings } = this.#core;
    let socket: WebSocketLike;
    try {
      const WebSocket =
        settings.webSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket!;
      const { format } = settings;
      socket = new WebSocket(url, format ? [format.subprotocol, SUBPROTOCOL] : SUBPROTOCOL);
      if (format) socket.binaryType = 'arraybuffer';
    } catch (error) {
      // A URL that is none, or a runtime without WebSockets: the next attempt would end in the same way.
      this.#end(new ConnectError('No WebSocket can be made.', error, false), 'stop');
      return;
    }
    this.#socket = socket;
    this.#askedAt = surroundings.monotonic();
    this.timers.set('answer', settings.connectTimeoutMs, () =>
      this.#end(new ConnectError('No answer came.', new TimeoutError('welcome')), 'resume'),
    );
    socket.addEventListener('open', () => {
      if (this.#isOver) socket.close(NORMAL);
    });
    socket.addEventListener('error', () => {});
    socket.addEventListener('close', ({ code }: { readonly code: number }) => {
      this.#closed?.();
      this.#lost(this.#refusal ?? code);
    });
    socket.addEventListener('message', ({ data }: { readonly data: string | ArrayBuffer }) => {
      if (this.#isOver) return;
      let frame: Frame;
      let characters: number;
      try {
        if (typeof data === 'string') {
          frame = parseFrame(data, settings.reviver);
          characters = data.length;
          this.#decoder?.told(frame);
        } else [frame, characters] = this.#decoder!.publication(data, settings.reviver);
      } catch (error) {
        this.#end(new ProtocolError('A frame cannot be read.', error), 'resume');
        return;
      }
      this.#heartbeat?.heard();
      if (this.#isWelcome) this.#use(frame, characters);
      else if (frame.type === 'welcome') this.#welcomed(frame, token);
    });
  }

  #welcomed(welcome: WelcomeFrame, token: string | undefined): void {
    const { settings, surroundings } = this.#core;
    const { session: id, node, limits, heartbeat, serverTime, auth, reconnect } = welcome;
    const session: Session = { id, node, limits };
    if (settings.format?.subprotocol === welcome.protocol) {
      this.#decoder = settings.format.decoder(limits);
    }
    this.#isWelcome = true;
    this.spreadMs = reconnect?.spreadMs ?? 0;
    // Another node has another clock.
    this.#owner.freshness.forget();
    // TCP, the handshake and `welcome` are two ways there and back, more with TLS.
    this.#tells(serverTime, 2);
    this.#heartbeat = new Heartbeat(
      surroundings,
      settings.pingMs ?? heartbeat.clientPingMs,
      settings.timeoutMs ?? heartbeat.timeoutMs,
      settings.probeTimeoutMs,
      {
        ping: () => {
          this.#askedAt = surroundings.monotonic();
          this.#ask('ping', {});
        },
        woke: () => this.#owner.freshness.forget(),
        dead: () => this.#lost(CONNECTION_LOST),
      },
    );
    if (auth !== 'required') this.#accepted(session);
    else if (token === undefined) {
      this.#end(new AuthError('The node asks for a token.'), 'stop');
    } else {
      this.#pending = session;
      this.#ask('auth', { token });
      this.timers.set('answer', settings.requestTimeoutMs, () =>
        this.#end(new TimeoutError('The answer to the token'), 'resume'),
      );
    }
  }

  #accepted(session: Session): void {
    this.timers.clear('answer');
    this.session = session;
    this.#owner.accepted(this);
  }

  #use(frame: Frame, characters: number): void {
    const { counts, surroundings } = this.#core;
    if (frame.type === undefined) {
      counts.received += 1;
      const hold = this.requests.holds.get(frame.channel);
      if (hold === undefined || hold.phase === 'asked') counts.ignored += 1;
      else hold.publication(frame, characters);
      return;
    }
    switch (frame.type) {
      case 'authenticated': {
        const { subject, expiresInMs } = frame;
        if (this.session === undefined) this.#accepted({ ...this.#pending!, subject });
        const part = RENEW_AFTER + RENEW_SPREAD * surroundings.random();
        this.timers.set('renew', part * expiresInMs, () => this.#renew('expiring', 0));
        break;
      }
      case 'expiring':
        this.#renew('expiring', 0);
        break;
      case 'reference':
        break;
      case 'subscribed':
      case 'unsubscribed':
        this.requests[frame.type](frame as never);
        break;
      case 'gap':
      case 'resync':
        this.requests.holds.get(frame.channel)?.[frame.type](frame as never);
        break;
      case 'degraded':
      case 'restored':
        this.degradedSince = frame.type === 'degraded' ? frame.since : undefined;
        this.#owner.degraded(this);
        break;
      case 'reconnect':
        this.#owner.mustMove(this, frame.afterMs, frame.deadlineMs);
        break;
      case 'pong':
        this.#tells(frame.serverTime, 1);
        break;
      case 'error':
        this.#failed(frame);
        break;
      default:
        counts.ignored += 1;
    }
  }

  /** Measures the server's clock. `ways` is the number of round trips since the client asked. */
  #tells(serverTime: number, ways: number): void {
    const ms = this.#core.surroundings.monotonic() - this.#askedAt;
    this.#owner.freshness.measured(serverTime, ms / ways);
  }

  #failed(error: ErrorMessage): void {
    if (this.requests.failed(error)) return;
    const { code } = error;
    if (code !== 'unauthorized' && code !== 'token_expired') return;
    // The old token stays valid until its end, so a refused renewal ends nothing.
    if (this.session !== undefined) this.#renewLater('refused', 1);
    else this.#refusal = code === 'unauthorized' ? UNAUTHORIZED : TOKEN_EXPIRED;
  }

  /** Gets a new token and sends it on this connection. A token that is a string has no successor. */
  async #renew(reason: 'expiring' | 'refused', failures: number): Promise<void> {
    if (this.#isRenewing || typeof this.#core.settings.token !== 'function') return;
    this.#isRenewing = true;
    try {
      this.#ask('auth', { token: await this.#token(reason) });
    } catch (error) {
      if (!this.#isOver) {
        this.#core.report(error);
        this.#renewLater(reason, failures + 1);
      }
    }
    this.#isRenewing = false;
  }

  #renewLater(reason: 'expiring' | 'refused', failures: number): void {
    const { settings, surroundings } = this.#core;
    const ms = settings.firstMs + resumeWait(failures, surroundings.random(), settings);
    this.timers.set('renew', ms, () => this.#renew(reason, failures));
  }

  #ask(type: 'ping' | 'auth', fields: object): void {
    this.#lastId += 1;
    this.send({ type, id: this.#lastId, ...fields });
  }

  #lost(closeCode: number): void {
    const { code, name, action } = closeMeaning(closeCode);
    if (this.#isWelcome || code !== CONNECTION_LOST) {
      this.#end(new ConnectionLostError(code, name, action !== 'stop'), action, code);
    } else this.#end(new ConnectError('No node accepted the connection.'), 'resume');
  }

  #end(error: TradewindError, action: CloseAction, code = CONNECTION_LOST): void {
    if (this.#isOver) return;
    // The socket's own `close` event may come a minute later, or never.
    void this.close();
    this.#owner.ended(this, { error, action, code });
  }
}
