import {
  CLOSE_CODES,
  type ErrorMessage,
  type Gap,
  type PublicationMessage,
  type Resync,
  type ServerMessage,
  type Subscribed,
  type Unsubscribed,
} from '@tradewind/protocol';
import { RULES, type Rule, type RuleName, type Rules } from './document-client-rules.ts';
import { type Channel, type Session, Waits } from './document-client-state.ts';
import type { Application, Surroundings } from './document-client-surroundings.ts';

/** A channel that a client wants, and the number of its latest publications to begin with. */
export interface Wanted {
  readonly channel: string;
  readonly history?: number;
}

/**
 * A client made of the rules of docs/protocol.md and of nothing else. Everything here that is not a rule only decides
 * which frame calls which rule.
 */
export class DocumentClient {
  readonly application: Application;
  readonly channels = new Map<string, Channel>();
  readonly connectWaits = new Waits();
  readonly requestWaits = new Waits();
  /** The connection whose frames are used. */
  current: Session | undefined;
  /** The connection that is being opened, or whose `welcome` has not come. */
  opening: Session | undefined;
  /** The last token that it got, until it is too old or was refused. */
  token: string | undefined;
  /** Tokens that were refused since the last one that was accepted. */
  refusedTokens = 0;
  /** Channels whose `subscribe` came too late for the token. */
  readonly askAtAuthenticated = new Set<Channel>();
  /** The number of times that each rule was followed. */
  readonly followed = new Map<RuleName, number>();
  readonly #surroundings: Surroundings;
  readonly #rules: Rules;
  readonly #timers = new Set<() => void>();
  #endWait: (() => void) | undefined;
  #isStopped = false;
  #lastId = 0;

  /** @param changes rules that differ from the document, for controls. */
  constructor(
    wanted: readonly Wanted[],
    application: Application,
    surroundings: Surroundings,
    changes: Partial<Rules> = {},
  ) {
    this.application = application;
    this.#surroundings = surroundings;
    this.#rules = { ...RULES, ...changes };
    for (const { channel, history } of wanted) {
      this.channels.set(channel, {
        ...{ name: channel, history, isWanted: true, epoch: undefined, offset: undefined },
        ...{ isHeld: false, isAsked: false, askedSince: false, isWaiting: false },
      });
    }
  }

  /** Begins to connect. */
  start(): void {
    this.follow('open');
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Whether it holds all channels that it wants. */
  get isLive(): boolean {
    return [...this.channels.values()].every(({ isWanted, isHeld }) => isHeld || !isWanted);
  }

  /** The application no longer wants a channel, or wants it again. The position in the channel stays. */
  want(name: string, isWanted: boolean): void {
    const channel = this.channels.get(name);
    const session = this.current;
    if (channel === undefined || channel.isWanted === isWanted) return;
    channel.isWanted = isWanted;
    if (session === undefined || !mayAsk(session)) return;
    if (!isWanted) {
      this.send(session, { type: 'unsubscribe', id: this.nextId(), channels: [name] });
    } else this.#askForAll();
  }

  /** Leaves permanently. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const sessions = [this.current, this.opening];
    for (const end of [...this.#timers]) end();
    for (const session of sessions) session?.wire.close(CLOSE_CODES.normal.code);
    this.current = undefined;
    this.opening = undefined;
    this.application.stopped();
  }

  // For the rules.

  follow<Name extends RuleName>(
    name: Name,
    ...args: Rules[Name] extends Rule<infer Args, infer _> ? Args : never
  ): Rules[Name] extends Rule<infer _, infer Result> ? Result : never {
    this.followed.set(name, (this.followed.get(name) ?? 0) + 1);
    const { act } = this.#rules[name] as unknown as Rule<typeof args, never>;
    return act(this, ...args);
  }

  random(): number {
    return this.#surroundings.random();
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  after(ms: number, act: () => void): () => void {
    const end = (): void => {
      cancel();
      this.#timers.delete(end);
    };
    const cancel = this.#surroundings.after(ms, () => {
      this.#timers.delete(end);
      act();
    });
    this.#timers.add(end);
    return end;
  }

  open(): Session {
    const session: Session = {
      wire: this.#surroundings.open({
        frame: (text) => this.#frame(session, text),
        refused: (status, retryAfterSeconds) => this.#refused(session, status, retryAfterSeconds),
        closed: (code) => this.closed(session, code),
      }),
      welcome: undefined,
      requests: new Map(),
      ...{ sentToken: false, isIdentified: false },
      endSilence: () => {},
    };
    return session;
  }

  openAfter(ms: number): void {
    this.#endWait?.();
    this.#endWait = this.after(ms, () => {
      this.#endWait = undefined;
      this.follow('open');
    });
  }

  /** Opens another connection after a wait. */
  reopen(leastSeconds: number | undefined): void {
    this.openAfter(Math.max(this.follow('wait', this.connectWaits), 1_000 * (leastSeconds ?? 0)));
  }

  send(session: Session, message: object): void {
    session.wire.send(JSON.stringify(message));
  }

  /** Gets a token if there is none to reuse, and sends it. */
  sendToken(session: Session): void {
    const use = (token: string | undefined): void => {
      if (session !== this.current) return;
      this.token = token;
      if (token === undefined) {
        this.follow('noNewToken');
        return;
      }
      session.sentToken = true;
      const id = this.nextId();
      session.requests.set(id, 'token');
      this.send(session, { type: 'auth', id, token });
    };
    if (this.token !== undefined && !session.isIdentified) use(this.token);
    else this.#surroundings.token?.(use);
  }

  sendTokenAfter(retryAfterMs: number | undefined, session: Session): void {
    this.after(this.follow('requestWait', retryAfterMs), () => {
      if (session === this.current) this.sendToken(session);
    });
  }

  ask(session: Session, channels: readonly Channel[]): void {
    const id = this.nextId();
    session.requests.set(id, channels);
    const asked = channels.map((channel) => {
      const since = this.follow('since', channel);
      channel.isAsked = true;
      channel.askedSince = since !== undefined;
      return { channel: channel.name, since, history: channel.history };
    });
    this.send(session, { type: 'subscribe', id, channels: asked });
  }

  askLater(channels: readonly Channel[], retryAfterMs?: number): void {
    for (const channel of channels) channel.isWaiting = true;
    this.after(this.follow('requestWait', retryAfterMs), () => {
      for (const channel of channels) channel.isWaiting = false;
      this.#askForAll();
    });
  }

  answered(channel: Channel): void {
    channel.isAsked = false;
  }

  giveUp(channel: Channel, code: string): void {
    channel.isWanted = false;
    this.application.gaveUp(channel.name, code);
  }

  /** Ends everything that belonged to a connection. */
  ended(session: Session): void {
    session.endSilence();
    for (const channel of this.channels.values()) {
      this.follow('held', channel, false);
      channel.isAsked = false;
    }
  }

  /** Gives a connection up. */
  drop(session: Session): void {
    session.wire.close(CLOSE_CODES.normal.code);
    this.closed(session, undefined);
  }

  closed(session: Session, code: number | undefined): void {
    if (this.#isStopped || this.follow('unused', session)) {
      if (session === this.current) this.#forget(session);
      return;
    }
    session.endSilence();
    if (session === this.opening && this.current !== undefined) {
      this.follow('failed', undefined);
      return;
    }
    const action = this.follow('code', code);
    if (session === this.opening) this.opening = undefined;
    else {
      this.#forget(session);
      this.follow('resetWait', action, code, session);
    }
    const { unauthorized, token_expired } = CLOSE_CODES;
    if (code === unauthorized.code || code === token_expired.code) this.follow('newToken');
    if (code === unauthorized.code) this.follow('twoRefused', session);
    this.follow('ended', action, code);
  }

  // Which frame calls which rule.

  #refused(session: Session, status: number, retryAfterSeconds: number | undefined): void {
    if (this.#isStopped || session !== this.opening) return;
    session.endSilence();
    if (this.current === undefined) this.follow('refused', status, retryAfterSeconds);
    else this.follow('failed', retryAfterSeconds);
  }

  #forget(session: Session): void {
    this.ended(session);
    this.current = undefined;
  }

  #askForAll(): void {
    const session = this.current;
    if (session?.welcome === undefined || !mayAsk(session)) return;
    this.follow('subscribe', session, session.welcome);
  }

  /** The node answers requests from here on, or again. */
  #begin(): void {
    for (const channel of this.askAtAuthenticated) channel.isWaiting = false;
    this.askAtAuthenticated.clear();
    this.#askForAll();
  }

  #frame(session: Session, text: string): void {
    if (this.#isStopped || (session !== this.current && session !== this.opening)) return;
    const message = JSON.parse(text) as ServerMessage | (PublicationMessage & { type?: undefined });
    if (session === this.opening && message.type === 'welcome') {
      this.follow('welcome', session, message);
      this.follow('replaced', session);
      if (mayAsk(session)) this.#begin();
      else this.follow('sendToken', session);
    } else if (session === this.current) this.#use(session, message);
    session.endSilence();
    if (session.welcome !== undefined) this.follow('silence', session, session.welcome);
  }

  #use(
    session: Session,
    message: ServerMessage | (PublicationMessage & { type?: undefined }),
  ): void {
    switch (message.type) {
      case undefined:
        this.#publication(message);
        break;
      case 'authenticated':
        session.isIdentified = true;
        session.requests.delete(message.id);
        this.refusedTokens = 0;
        this.#begin();
        break;
      case 'expiring':
        this.follow('expiring', session);
        break;
      case 'subscribed':
        this.#subscribed(session, message);
        break;
      case 'unsubscribed':
        this.#unsubscribed(message);
        break;
      case 'gap':
        this.#gap(message);
        break;
      case 'resync':
        this.#resync(message);
        break;
      case 'degraded':
      case 'restored':
        this.follow(message.type);
        break;
      case 'reconnect':
        this.follow('reconnect', message);
        break;
      case 'error':
        this.#error(session, message);
        break;
      case 'pong':
        break;
      default:
        this.follow('unknown');
    }
  }

  #publication(publication: PublicationMessage): void {
    const channel = this.channels.get(publication.channel);
    const { offset } = publication;
    if (channel === undefined) return;
    if (offset === undefined) this.follow('plain', publication);
    else if (!this.follow('again', channel, offset)) {
      this.follow('publication', channel, offset, publication);
    }
  }

  #subscribed(session: Session, { id, channels, rejected = [], done }: Subscribed): void {
    if (done) session.requests.delete(id);
    if (channels.length > 0) this.requestWaits.reset();
    for (const answer of channels) {
      const channel = this.channels.get(answer.channel);
      if (channel === undefined) continue;
      this.answered(channel);
      this.follow('held', channel, true);
      if (answer.recovered === true && channel.askedSince)
        this.follow('recovered', channel, answer);
      else {
        if (answer.epoch === undefined) this.follow('noEpoch', channel);
        else {
          this.follow('otherEpoch', channel, answer);
          this.follow('noReplay', channel, answer);
        }
        this.follow('begins', channel, (answer.replayed ?? 0) > 0);
      }
    }
    for (const { channel: name, code, retryAfterMs } of rejected) {
      const channel = this.channels.get(name);
      if (channel === undefined) continue;
      this.answered(channel);
      this.follow('rejected', channel, code, retryAfterMs);
    }
  }

  #unsubscribed({ channels, reason }: Unsubscribed): void {
    for (const name of channels) {
      const channel = this.channels.get(name);
      if (channel === undefined) continue;
      this.follow('held', channel, false);
      if (reason !== undefined) this.follow('unsubscribed', channel, reason);
    }
    this.#askForAll();
  }

  #gap(gap: Gap): void {
    const channel = this.channels.get(gap.channel);
    if (channel === undefined) return;
    const before = channel.offset;
    if (gap.to !== undefined) this.follow('gap', channel, gap.to);
    this.follow('lost', gap, before);
  }

  #resync(resync: Resync): void {
    const channel = this.channels.get(resync.channel);
    if (channel === undefined) return;
    this.follow('resync', channel, resync);
    this.follow('begins', channel, false, resync.reason);
  }

  #error(session: Session, error: ErrorMessage): void {
    const asked = session.requests.get(error.id) ?? [];
    session.requests.delete(error.id);
    if (error.id === undefined) this.follow('otherError');
    else this.follow('requestFailed', session, asked, error);
  }
}

/** Whether the node takes requests other than `auth` on this connection. */
function mayAsk({ welcome, isIdentified }: Session): boolean {
  return welcome !== undefined && (welcome.auth !== 'required' || isIdentified);
}
