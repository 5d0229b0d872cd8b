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
  type SubscribedChannel,
  type Welcome,
} from '@tradewind/protocol';
import type { DocumentClient } from './document-client.ts';
import type { Channel, Session, Waits } from './document-client-state.ts';

const WELCOME_WITHIN_MS = 10_000;

/** A rule of docs/protocol.md: its text, word for word, and its implementation here. */
export interface Rule<Args extends readonly unknown[], Result> {
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

function isLarger(offset: number, than: number | undefined): boolean {
  return than === undefined || offset > than;
}

function isRetryable(code: string): boolean {
  return (ERROR_CODES as Record<string, { readonly retryable: boolean }>)[code]?.retryable === true;
}
