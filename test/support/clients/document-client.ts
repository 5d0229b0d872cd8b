import {
  CLOSE_CODES,
  type CloseAction,
  ERROR_CODES,
  type ErrorMessage,
  type Gap,
  type Position,
  type PublicationMessage,
  type Reconnect,
  type Resync,
  type ServerMessage,
  type Subscribed,
  type SubscribedChannel,
  type Unsubscribed,
  type Welcome,
} from '@tradewind/protocol';

/** One connection, as a client sees it. */
export interface Wire {
  send(text: string): void;
  close(code: number): void;
}

/** The events of one connection, in order, with none after `closed` or `refused`. */
export interface WireEvents {
  frame(text: string): void;
  /** The answer was this HTTP status instead of 101. */
  refused(status: number, retryAfterSeconds: number | undefined): void;
  /** @param code undefined if there was none, or none that can be read. */
  closed(code: number | undefined): void;
}

/** The client's environment. */
export interface Surroundings {
  /** Opens a connection to any node. Its events arrive after this has returned. */
  open(events: WireEvents): Wire;
  /** Calls `act` after `ms`, unless the returned function is called earlier. */
  after(ms: number, act: () => void): () => void;
  /** From 0, inclusive, to 1. */
  random(): number;
  /** Gets a new token and calls `use`, at once or later; with undefined if there is none to be had. */
  token?(use: (token: string | undefined) => void): void;
}

/** Everything that the client gives the application, in order. */
export interface Application {
  used(publication: PublicationMessage): void;
  lost(gap: Gap): void;
  /**
   * The following publications of the channel do not continue the previous ones.
   *
   * @param at the client's position; undefined if the next publication will give it.
   */
  begins(channel: string, at: Position | undefined): void;
  /** The channel begins to have offsets, behind this position. Nothing was lost. */
  started(channel: string, at: Position): void;
  /** The channel was refused permanently. */
  gaveUp(channel: string, code: string): void;
  /** The client will not connect again. */
  stopped(): void;
}

/** The client's knowledge of one channel. */
export interface Channel {
  readonly name: string;
  /** The number of latest publications to begin with. */
  readonly history: number | undefined;
  /** Whether the application wants it. */
  isWanted: boolean;
  epoch: string | undefined;
  offset: number | undefined;
  isHeld: boolean;
  /** Requested, and not answered yet. */
  isAsked: boolean;
  /** Whether the request had a `since`. */
  askedSince: boolean;
  /** It was rejected, and its wait is not over. */
  isWaiting: boolean;
}

/** A connection from its opening to its end. */
interface Session {
  readonly wire: Wire;
  welcome: Welcome | undefined;
  /** Requests without their last answer: their channels by their ids, or that it is a token. */
  readonly requests: Map<unknown, readonly Channel[] | 'token'>;
  /** Whether a token was sent on it. */
  sentToken: boolean;
  /** Whether a token was accepted on it. */
  isIdentified: boolean;
  /** Ends the wait that detects silence. */
  endSilence: () => void;
}

const WELCOME_WITHIN_MS = 10_000;
const FIRST_BOUND_MS = 1_000;
const LARGEST_BOUND_MS = 30_000;

/** Waits that grow. */
class Waits {
  #boundMs = FIRST_BOUND_MS;

  /** @param leastMs the bound of the next wait, if it is more than that of a first one. */
  reset(leastMs = 0): void {
    this.#boundMs = Math.max(FIRST_BOUND_MS, leastMs);
  }

  next(random: number): number {
    const ms = random * this.#boundMs;
    this.#boundMs = Math.min(LARGEST_BOUND_MS, 2 * this.#boundMs);
    return ms;
  }
}

/** A rule of docs/protocol.md: its text, word for word, and its implementation here. */
interface Rule<Args extends readonly unknown[], Result> {
  readonly sentence: string;
  readonly act: (client: DocumentClient, ...args: Args) => Result;
}

function rule<Args extends readonly unknown[], Result>(
  sentence: string,
  act: (client: DocumentClient, ...args: Args) => Result,
): Rule<Args, Result> {
  return { sentence, act };
}

/** Every numbered rule of docs/protocol.md, in its order; a test compares the two. */
export const RULES = {
  open: rule(
    'Open one connection to any node, and use the frames of one connection at a time.',
    (client) => {
      client.opening = client.open();
      client.follow('late', client.opening);
    },
  ),
  welcome: rule(
    'Send nothing before `welcome`, and note its `heartbeat`, `limits` and `reconnect`.',
    (_client, session: Session, welcome: Welcome) => {
      session.welcome = welcome;
    },
  ),
  late: rule(
    'Give a new connection up when its `welcome` has not come after 10 s.',
    (client, session: Session) => {
      session.endSilence = client.after(WELCOME_WITHIN_MS, () => client.drop(session));
    },
  ),
  unknown: rule(
    'Ignore a frame whose `type` you do not know, and every field that you do not know.',
    () => {},
  ),
  silence: rule(
    'When nothing has arrived for `heartbeat.clientPingMs`, send a `ping`.',
    (client, session: Session, { heartbeat }: Welcome) => {
      session.endSilence = client.after(heartbeat.clientPingMs, () => {
        client.send(session, { type: 'ping', id: client.nextId() });
        client.follow('dead', session, heartbeat.timeoutMs);
      });
    },
  ),
  dead: rule(
    'When nothing arrives for `heartbeat.timeoutMs` after that `ping`, give the connection up as if it had ended with 1006.',
    (client, session: Session, timeoutMs: number) => {
      session.endSilence = client.after(timeoutMs, () => client.drop(session));
    },
  ),

  subscribe: rule(
    'After `welcome`, or after `authenticated` where `welcome` says `"auth":"required"`, subscribe to every channel that you want, with at most `limits.maxChannelsPerRequest` channels in one `subscribe`.',
    (client, session: Session, { limits }: Welcome) => {
      const wanted = [...client.channels.values()].filter(
        (channel) => channel.isWanted && client.follow('askOnce', channel),
      );
      while (wanted.length > 0) {
        client.ask(session, wanted.splice(0, limits.maxChannelsPerRequest));
      }
    },
  ),
  since: rule(
    'Send `since` for each channel of which you have both an epoch and an offset, and for no other.',
    (_client, { epoch, offset }: Channel): Position | undefined =>
      epoch === undefined || offset === undefined ? undefined : { epoch, offset },
  ),
  held: rule(
    'You hold a channel from the `subscribed` that names it until an `unsubscribed` names it or the connection ends.',
    (_client, channel: Channel, isHeld: boolean) => {
      channel.isHeld = isHeld;
    },
  ),
  askOnce: rule(
    'Do not ask for a channel that you hold, or that you have asked for and have no answer about.',
    (_client, { isHeld, isAsked, isWaiting }: Channel): boolean =>
      !(isHeld || isAsked || isWaiting),
  ),
  rejected: rule(
    'Ask again for a rejected channel after a wait if its code is retryable, and give it up otherwise, unless it is `cancelled`, which answers your own `unsubscribe`.',
    (client, channel: Channel, code: string, retryAfterMs?: number) => {
      if (!channel.isWanted || code === 'cancelled') return;
      if (isRetryable(code)) client.askLater([channel], retryAfterMs);
      else client.giveUp(channel, code);
    },
  ),
  unsubscribed: rule(
    'Treat an `unsubscribed` with a `reason` like a rejection of its channels with this code.',
    (client, channel: Channel, reason: string) => {
      client.follow('rejected', channel, reason);
    },
  ),

  recovered: rule(
    'If a `subscribed` says `"recovered":true` to a `since`, change nothing: the replay moves you on.',
    (_client, _channel: Channel, _answer: SubscribedChannel) => {},
  ),
  noEpoch: rule(
    'If a `subscribed` has no `epoch`, forget your epoch and your offset.',
    (_client, channel: Channel) => {
      channel.epoch = undefined;
      channel.offset = undefined;
    },
  ),
  otherEpoch: rule(
    'If any other `subscribed` has an `epoch` that is not yours, or the reason `offset_ahead`, take its `epoch` and forget your offset.',
    (_client, channel: Channel, { epoch, reason }: SubscribedChannel) => {
      if (epoch === channel.epoch && reason !== 'offset_ahead') return;
      channel.epoch = epoch;
      channel.offset = undefined;
    },
  ),
  noReplay: rule(
    'If any other `subscribed` replays nothing, take its `offset`, unless yours is larger after rule 15.',
    (_client, channel: Channel, { offset = 0, replayed = 0 }: SubscribedChannel) => {
      if (replayed === 0) channel.offset = Math.max(offset, channel.offset ?? 0);
    },
  ),
  resync: rule(
    'At a `resync`, take its `epoch` and its `offset`.',
    (_client, channel: Channel, { epoch, offset }: Resync) => {
      channel.epoch = epoch;
      channel.offset = offset;
    },
  ),
  again: rule(
    'Ignore a publication whose `offset` is not larger than yours.',
    (_client, channel: Channel, offset: number): boolean => !isLarger(offset, channel.offset),
  ),
  publication: rule(
    'Take the `offset` of every other publication that has one, and use the publication.',
    (client, channel: Channel, offset: number, publication: PublicationMessage) => {
      channel.offset = offset;
      client.application.used(publication);
    },
  ),
  plain: rule(
    'Use a publication without an `offset`, and stay where you are.',
    (client, publication: PublicationMessage) => {
      client.application.used(publication);
    },
  ),
  gap: rule(
    'At a `gap` with a `to` that is larger than your offset, or when you have no offset, take its `to`.',
    (_client, channel: Channel, to: number) => {
      if (isLarger(to, channel.offset)) channel.offset = to;
    },
  ),

  lost: rule(
    'Report the publications of every `gap` as lost, unless its `to` is not larger than your offset was.',
    (client, gap: Gap, before: number | undefined) => {
      if (gap.to === undefined || isLarger(gap.to, before)) client.application.lost(gap);
    },
  ),
  begins: rule(
    'Report at every `subscribed` that rule 13 does not cover, and at every `resync` whose reason is not `started`, that what follows does not continue what came before.',
    (client, { name, epoch, offset }: Channel, isReplayed: boolean, reason?: string) => {
      const isKnown = epoch !== undefined && offset !== undefined && !isReplayed;
      const position = isKnown ? { epoch, offset } : undefined;
      if (reason === 'started' && position) client.application.started(name, position);
      else client.application.begins(name, position);
    },
  ),

  degraded: rule('At `degraded`, stay connected and keep your channels.', () => {}),
  restored: rule(
    'At `restored`, ask again for what was rejected meanwhile, after a wait with a bound of 1 s.',
    (client) => {
      client.requestWaits.reset();
      const waiting = [...client.channels.values()].filter(({ isWaiting }) => isWaiting);
      if (waiting.length > 0) client.askLater(waiting);
    },
  ),
  reconnect: rule(
    'At `reconnect`, open one new connection after `afterMs`, and go on with the old one until the new one says `welcome`.',
    (client, { afterMs }: Reconnect) => {
      if (client.opening === undefined) client.openAfter(afterMs);
    },
  ),
  replaced: rule(
    'At the `welcome` of the new connection, stop using the old one, close it with 1000, and only then subscribe on the new one.',
    (client, session: Session) => {
      const old = client.current;
      client.current = session;
      client.opening = undefined;
      if (old === undefined) return;
      client.ended(old);
      old.wire.close(CLOSE_CODES.normal.code);
    },
  ),
  failed: rule(
    'If the new connection fails before its `welcome`, keep the old one and try again.',
    (client, retryAfterSeconds: number | undefined) => {
      client.opening = undefined;
      client.reopen(retryAfterSeconds);
    },
  ),
  unused: rule(
    'Do nothing when a connection ends that you no longer use, or that you are already replacing.',
    (client, session: Session): boolean =>
      (session !== client.current && session !== client.opening) ||
      (session === client.current && client.opening !== undefined),
  ),

  requestFailed: rule(
    'An `error` with an `id` means that this request was not carried out: send it again after a wait if it is `retryable`, and give it up otherwise, unless its code is `token_expired`.',
    (client, session: Session, asked: readonly Channel[] | 'token', error: ErrorMessage) => {
      if (asked === 'token') {
        if (error.retryable) client.sendTokenAfter(error.retryAfterMs, session);
        else if (session.isIdentified) client.follow('noNewToken');
        return;
      }
      for (const channel of asked) client.answered(channel);
      const wanted = asked.filter(({ isWanted }) => isWanted);
      if (error.retryable) client.askLater(wanted, error.retryAfterMs);
      else if (error.code === 'token_expired') client.follow('askAgain', wanted);
      else for (const channel of wanted) client.giveUp(channel, error.code);
    },
  ),
  otherError: rule('After an `error` without an `id`, go on.', () => {}),
  requestWait: rule(
    'Where `retryAfterMs` is given, that is the wait for a request; otherwise it is as in rule 35, with a bound of its own, which is 1 s again when a request was carried out.',
    (client, retryAfterMs: number | undefined): number =>
      retryAfterMs ?? client.follow('wait', client.requestWaits),
  ),

  ended: rule(
    'When a connection ends, also one that never said `welcome`, stop if `docs/codes.md` says so for its code and it is not 4401, and otherwise connect again after a wait.',
    (client, action: CloseAction, code: number | undefined) => {
      if (action === 'stop' && code !== CLOSE_CODES.unauthorized.code) client.stop();
      else if (!client.isStopped) client.reopen(undefined);
    },
  ),
  code: rule(
    'Read an end without a code as 1006; of codes that `docs/codes.md` does not have, stop at 4400 to 4999 only.',
    (_client, code: number = CLOSE_CODES.connection_lost.code): CloseAction => {
      const known = Object.values(CLOSE_CODES).find((row) => row.code === code);
      return known?.action ?? (code >= 4_400 && code <= 4_999 ? 'stop' : 'back-off');
    },
  ),
  wait: rule(
    'Wait for a random time from 0 to a bound, which is 1 s at first and doubles with each wait up to 30 s.',
    (client, waits: Waits): number => waits.next(client.random()),
  ),
  resetWait: rule(
    'The bound is 1 s again when a connection that said `welcome` ends with a code after which one resumes, or one that said `authenticated` with 4402; after 1006 it is `reconnect.spreadMs` of that `welcome`, where that is more.',
    (client, action: CloseAction, code: number | undefined, session: Session) => {
      const isLost = code === undefined || code === CLOSE_CODES.connection_lost.code;
      const leastMs = isLost ? session.welcome?.reconnect.spreadMs : undefined;
      const isRenewed = action === 'renew' && session.isIdentified;
      if (action === 'resume' || isRenewed) client.connectWaits.reset(leastMs);
    },
  ),
  refused: rule(
    'After a refused handshake with 429, or with 500 or above, wait at least `Retry-After`, and stop at any other status.',
    (client, status: number, retryAfterSeconds: number | undefined) => {
      client.opening = undefined;
      if (status === 429 || status >= 500) client.reopen(retryAfterSeconds ?? 0);
      else client.stop();
    },
  ),

  sendToken: rule(
    'Where `welcome` says `"auth":"required"`, send a token by `auth`, unless the handshake had one, and nothing else before `authenticated`.',
    (client, session: Session) => client.sendToken(session),
  ),
  expiring: rule(
    'At `expiring`, get a new token for the same subject, and send it by `auth` on the same connection.',
    (client, session: Session) => client.sendToken(session),
  ),
  noNewToken: rule(
    'If a new token is refused there, or if you cannot get one, go on with the connection as it is.',
    () => {},
  ),
  askAgain: rule(
    'If a `subscribe` was answered with `token_expired`, send it again after the next `authenticated`.',
    (client, channels: readonly Channel[]) => {
      for (const channel of channels) {
        channel.isWaiting = true;
        client.askAtAuthenticated.add(channel);
      }
    },
  ),
  newToken: rule(
    'Get a new token for each connection that you open after one that ended with 4401 or 4402.',
    (client) => {
      client.token = undefined;
    },
  ),
  twoRefused: rule(
    'After 4401, stop if two tokens were refused with it and none was accepted between them.',
    (client, { sentToken, isIdentified }: Session) => {
      if (isIdentified || !sentToken) return;
      client.refusedTokens += 1;
      if (client.refusedTokens === 2) client.stop();
    },
  ),
};

export type Rules = typeof RULES;
export type RuleName = keyof Rules;

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

function isLarger(offset: number, than: number | undefined): boolean {
  return than === undefined || offset > than;
}

function isRetryable(code: string): boolean {
  return (ERROR_CODES as Record<string, { readonly retryable: boolean }>)[code]?.retryable === true;
}
