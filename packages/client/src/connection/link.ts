import type { CloseAction, ErrorMessage, Welcome } from '@tradewind/protocol';
import type { HeldChannel } from '../channels/channel.ts';
import type { AskedFor, Hold } from '../channels/hold.ts';
import {
  AuthError,
  ConnectError,
  ConnectionLostError,
  ProtocolError,
  TimeoutError,
  TradewindError,
} from '../errors.ts';
import type { Cancel, Surroundings } from '../surroundings.ts';
import type {
  ClientOptions,
  Session,
  UrlSource,
  WebSocketConstructor,
  WebSocketLike,
} from '../types.ts';
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
const OPEN = 1;

/** The part of a token's life after which a new one is fetched: 0.8, give or take a tenth. */
const RENEW_AFTER = 0.8;
const RENEW_SPREAD = 0.1;

/** `welcome` of a node that says how wide its clients should spread when it dies. */
type WelcomeFrame = Welcome & { readonly reconnect?: { readonly spreadMs?: number } };

/** Why a connection ended. */
export interface LinkEnd {
  readonly error: TradewindError;
  readonly action: CloseAction;
  /** The close code; 1006 without one. */
  readonly code: number;
}

/** Options with their defaults. */
export interface LinkSettings
  extends Required<
    Pick<
      ClientOptions,
      'connectTimeoutMs' | 'requestTimeoutMs' | 'probeTimeoutMs' | 'tokenTimeoutMs'
    >
  > {
  readonly url: UrlSource;
  readonly token: ClientOptions['token'];
  readonly heartbeat: NonNullable<ClientOptions['heartbeat']>;
  readonly reviver: ClientOptions['reviver'];
  readonly waits: { readonly firstMs: number; readonly maxMs: number };
  webSocket(): WebSocketConstructor;
}

export interface LinkOwner {
  readonly settings: LinkSettings;
  readonly surroundings: Surroundings;
  readonly freshness: Freshness;
  /** A node has accepted this client. */
  accepted(link: Link): void;
  ended(link: Link, end: LinkEnd): void;
  degraded(link: Link, since: number | undefined): void;
  mustMove(link: Link, afterMs: number, deadlineMs: number): void;
  woke(): void;
  received(): void;
  ignored(): void;
  /** Something failed that the connection survives. */
  report(error: unknown): void;
  askedFor(link: Link, channel: HeldChannel): AskedFor;
  rejected(link: Link, channel: HeldChannel, code: string, retryAfterMs: number | undefined): void;
  left(link: Link, channel: HeldChannel): void;
  answered(link: Link, channel: HeldChannel): void;
}

/**
 * One connection, from the token to its end. Each attempt has a link of its own, and a link that is over tells its owner
 * nothing more: an old socket can do no harm, and one that opens late is closed.
 */
export class Link implements RequestsOwner {
  readonly requestTimeoutMs: number;
  session: Session | undefined;
  degradedSince: number | undefined;
  /** Up to how many ms the server asks clients to spread when the node dies. */
  spreadMs = 0;
  readonly #owner: LinkOwner;
  readonly #attempt: number;
  readonly #isRefused: boolean;
  readonly #abort = new AbortController();
  readonly #cancels = new Set<Cancel>();
  #requests: Requests | undefined;
  #heartbeat: Heartbeat | undefined;
  #socket: WebSocketLike | undefined;
  #welcome: WelcomeFrame | undefined;
  #closed: (() => void) | undefined;
  #isOver = false;
  #isRenewing = false;
  /** The code by which a token was refused; the close that follows may get lost. */
  #refusal: number | undefined;
  #pingedAt = 0;
  #openedAt = 0;
  #lastId = 0;

  /**
   * @param attempt attempts that failed before, from 0.
   * @param isRefused whether the last token was refused.
   */
  constructor(owner: LinkOwner, attempt: number, isRefused: boolean) {
    this.#owner = owner;
    this.#attempt = attempt;
    this.#isRefused = isRefused;
    this.requestTimeoutMs = owner.settings.requestTimeoutMs;
  }

  get holds(): ReadonlyMap<string, Hold> {
    return this.#requests?.holds ?? new Map();
  }

  get requests(): Requests | undefined {
    return this.#requests;
  }

  get limits(): Session['limits'] {
    return this.#welcome!.limits;
  }

  /** Connects. It never rejects: a failure is an end like any other. */
  async open(): Promise<void> {
    const { url: source, tokenTimeoutMs } = this.#owner.settings;
    const { surroundings } = this.#owner;
    let url: string | URL;
    let token: string | undefined;
    try {
      url =
        typeof source === 'function'
          ? await withDeadline('The URL', tokenTimeoutMs, this.#abort.signal, surroundings, source)
          : source;
      token = await this.#token(this.#isRefused ? 'refused' : 'connect');
    } catch (error) {
      this.#end(
        error instanceof TradewindError ? error : new ConnectError('No URL could be had.', error),
        error instanceof AuthError ? 'stop' : 'resume',
      );
      return;
    }
    if (!this.#isOver) this.#connect(String(url), token);
  }

  /** Ends the connection; its owner is not told. Resolves when the socket is closed. */
  close(code = NORMAL): Promise<void> {
    this.#finish();
    const socket = this.#socket;
    if (socket === undefined || socket.readyState === 3) return Promise.resolve();
    return new Promise((resolve) => {
      this.#closed = resolve;
      try {
        socket.close(code);
      } catch {
        resolve();
      }
    });
  }

  /** Finds out within `probeTimeoutMs` whether the connection lives. */
  probe(): void {
    this.#heartbeat?.probe();
  }

  ask(channel: HeldChannel): void {
    this.#requests?.ask(channel);
  }

  // For its requests.

  after(ms: number, act: () => void): Cancel {
    const cancel = this.#owner.surroundings.after(ms, () => {
      this.#cancels.delete(end);
      act();
    });
    const end = (): void => {
      this.#cancels.delete(end);
      cancel();
    };
    this.#cancels.add(end);
    return end;
  }

  send(message: object): void {
    if (this.#isOver || this.#socket?.readyState !== OPEN) return;
    try {
      this.#socket.send(JSON.stringify(message));
    } catch (error) {
      this.#end(new ConnectError('Nothing can be sent.', error), 'resume');
    }
  }

  askedFor(channel: HeldChannel): AskedFor {
    return this.#owner.askedFor(this, channel);
  }

  rejected(channel: HeldChannel, code: string, retryAfterMs: number | undefined): void {
    this.#owner.rejected(this, channel, code, retryAfterMs);
  }

  left(channel: HeldChannel): void {
    this.#owner.left(this, channel);
  }

  answered(channel: HeldChannel): void {
    this.#owner.answered(this, channel);
  }

  ignored(): void {
    this.#owner.ignored();
  }

  #token(reason: 'connect' | 'expiring' | 'refused'): Promise<string> | undefined {
    const { settings, surroundings } = this.#owner;
    if (settings.token === undefined) return undefined;
    return obtainToken(
      settings.token,
      { reason, attempt: this.#attempt },
      settings.tokenTimeoutMs,
      this.#abort.signal,
      surroundings,
    );
  }

  #connect(url: string, token: string | undefined): void {
    const { settings, surroundings } = this.#owner;
    let socket: WebSocketLike;
    try {
      const WebSocket = settings.webSocket();
      socket = new WebSocket(url, SUBPROTOCOL);
    } catch (error) {
      // A URL that is none, or a runtime without WebSockets: the next attempt would end in the same way.
      this.#end(new ConnectError('No WebSocket can be made.', error, false), 'stop');
      return;
    }
    this.#socket = socket;
    this.#openedAt = surroundings.monotonic();
    const endTimeout = this.after(settings.connectTimeoutMs, () =>
      this.#end(
        new ConnectError('The connection took too long.', new TimeoutError('welcome')),
        'resume',
      ),
    );
    socket.addEventListener('open', () => {
      if (this.#isOver) socket.close(NORMAL);
    });
    socket.addEventListener('error', () => {});
    socket.addEventListener('close', ({ code }: { readonly code: number }) => {
      this.#closed?.();
      this.#socketClosed(code);
    });
    socket.addEventListener('message', ({ data }: { readonly data: unknown }) => {
      if (this.#isOver) return;
      let frame: Frame;
      try {
        frame = parseFrame(data as string, settings.reviver);
      } catch (error) {
        this.#end(new ProtocolError('A frame is not JSON.', error), 'resume');
        return;
      }
      this.#heartbeat?.heard();
      if (this.#welcome !== undefined) this.#use(frame, (data as string).length);
      else if (frame.type === 'welcome') {
        endTimeout();
        this.#welcomed(frame, token);
      }
    });
  }

  #welcomed(welcome: WelcomeFrame, token: string | undefined): void {
    const { settings, surroundings, freshness } = this.#owner;
    const { heartbeat, serverTime, auth, reconnect } = welcome;
    this.#welcome = welcome;
    this.spreadMs = reconnect?.spreadMs ?? 0;
    // TCP, the handshake and `welcome`: two ways there and back, more with TLS.
    freshness.measured(serverTime, (surroundings.monotonic() - this.#openedAt) / 2);
    this.#heartbeat = new Heartbeat(
      surroundings,
      {
        pingMs: settings.heartbeat.pingMs ?? heartbeat.clientPingMs,
        timeoutMs: settings.heartbeat.timeoutMs ?? heartbeat.timeoutMs,
        probeMs: settings.probeTimeoutMs,
      },
      {
        ping: () => {
          this.#pingedAt = surroundings.monotonic();
          this.send({ type: 'ping', id: this.#nextId() });
        },
        woke: () => this.#owner.woke(),
        dead: () => this.#lost(CONNECTION_LOST),
      },
    );
    if (auth !== 'required') this.#accepted(undefined);
    else if (token === undefined) {
      this.#end(
        new AuthError('The node asks for a token, and there is none.'),
        'stop',
        UNAUTHORIZED,
      );
    } else {
      this.send({ type: 'auth', id: this.#nextId(), token });
      this.after(settings.requestTimeoutMs, () => {
        if (this.session === undefined)
          this.#end(new TimeoutError('The answer to the token'), 'resume');
      });
    }
  }

  #accepted(subject: string | undefined): void {
    const { session: id, node, limits } = this.#welcome!;
    this.session = { id, node, limits, ...(subject !== undefined && { subject }) };
    // Requests have ids from 2^20 on: their answers cannot be taken for those to a ping or a token.
    this.#requests = new Requests(this, 2 ** 20);
    this.#owner.accepted(this);
  }

  #use(frame: Frame, characters: number): void {
    if (frame.type === undefined) {
      this.#owner.received();
      const hold = this.holds.get(frame.channel);
      if (hold === undefined || hold.phase === 'asked') this.ignored();
      else hold.publication(frame, characters);
      return;
    }
    switch (frame.type) {
      case 'authenticated':
        if (this.session === undefined) this.#accepted(frame.subject);
        this.#renewAfter(
          frame.expiresInMs *
            (RENEW_AFTER + RENEW_SPREAD * (2 * this.#owner.surroundings.random() - 1)),
        );
        break;
      case 'expiring':
        this.#renew('expiring', 0);
        break;
      case 'subscribed':
        this.#requests?.subscribed(frame);
        break;
      case 'unsubscribed':
        this.#requests?.unsubscribed(frame);
        break;
      case 'gap':
        this.holds.get(frame.channel)?.gap(frame);
        break;
      case 'resync':
        this.holds.get(frame.channel)?.resync(frame);
        break;
      case 'degraded':
      case 'restored':
        this.degradedSince = frame.type === 'degraded' ? frame.since : undefined;
        if (this.session !== undefined) this.#owner.degraded(this, this.degradedSince);
        break;
      case 'reconnect':
        this.#owner.mustMove(this, frame.afterMs, frame.deadlineMs);
        break;
      case 'pong':
        this.#owner.freshness.measured(
          frame.serverTime,
          this.#owner.surroundings.monotonic() - this.#pingedAt,
        );
        break;
      case 'error':
        this.#failed(frame);
        break;
      default:
        this.ignored();
    }
  }

  #failed(error: ErrorMessage): void {
    if (this.#requests?.failed(error)) return;
    if (error.code === 'unauthorized') this.#refusal = UNAUTHORIZED;
    else if (error.code === 'token_expired') this.#refusal = TOKEN_EXPIRED;
    else return;
    // A refused renewal changes nothing: the old token goes on until its end.
    if (this.session === undefined) return;
    this.#refusal = undefined;
    this.#renewLater('refused', 1);
  }

  #renewAfter(ms: number): void {
    this.after(ms, () => this.#renew('expiring', 0));
  }

  /** Gets a new token and sends it on this connection. */
  #renew(reason: 'expiring' | 'refused', failures: number): void {
    // A token that is a string has no successor.
    if (this.#isRenewing || this.#isOver || typeof this.#owner.settings.token !== 'function')
      return;
    this.#isRenewing = true;
    Promise.resolve(this.#token(reason)).then(
      (token) => {
        this.#isRenewing = false;
        if (token !== undefined) this.send({ type: 'auth', id: this.#nextId(), token });
      },
      (error: unknown) => {
        this.#isRenewing = false;
        if (this.#isOver) return;
        this.#owner.report(error);
        this.#renewLater(reason, failures + 1);
      },
    );
  }

  #renewLater(reason: 'expiring' | 'refused', failures: number): void {
    const { settings, surroundings } = this.#owner;
    const ms = settings.waits.firstMs + resumeWait(failures, surroundings.random(), settings.waits);
    this.after(ms, () => this.#renew(reason, failures));
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #socketClosed(code: number): void {
    if (this.#isOver) return;
    this.#lost(this.#refusal ?? code);
  }

  #lost(closeCode: number): void {
    const { code, name, action } = closeMeaning(closeCode);
    if (this.#welcome === undefined && code === CONNECTION_LOST) {
      this.#end(new ConnectError('No node accepted the connection.'), 'resume');
      return;
    }
    this.#end(new ConnectionLostError(code, name, action !== 'stop'), action, code);
  }

  #end(error: TradewindError, action: CloseAction, code = CONNECTION_LOST): void {
    if (this.#isOver) return;
    // Its `close` event may come a minute later, or never.
    void this.close();
    this.#owner.ended(this, { error, action, code });
  }

  #finish(): void {
    this.#isOver = true;
    this.#heartbeat?.stop();
    this.#requests?.stop();
    for (const cancel of [...this.#cancels]) cancel();
    this.#abort.abort();
  }
}
