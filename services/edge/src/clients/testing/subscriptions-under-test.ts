import { PublicationLog } from '@tradewind/fanout';
import type { ErrorCode, Position, RequestId, SubscribeRequest } from '@tradewind/protocol';
import { LimitGuard, type LimitName } from '../../limits.ts';
import { Membership } from '../membership/membership.ts';
import { retryWaitMs } from '../subscriptions/subscribe-reply.ts';
import { type SubscriptionLimits, Subscriptions } from '../subscriptions/subscriptions.ts';
import type { RecoveryOutcome } from '../subscriptions/waiting-clients.ts';
import { FakeUpstream, listenerOf, publicationsOf } from './fake-upstream.ts';
import { createTestConnection, LIMITS, type TestConnection } from './test-connection.ts';

const PLENTY = { perSecond: 1, burst: 1_000_000_000 };

export const EPOCH = 'k3x9';
/** The latest position of each channel that is acknowledged with it. */
export const position = { epoch: EPOCH, offset: 100 };

/** The end of a turn whose budget is used up: it serves one client. */
export const ONE_A_TURN = Number.NEGATIVE_INFINITY;

/** Subscriptions whose hub is a {@link FakeUpstream}, with two clients. */
export function setUp(
  limits: Partial<SubscriptionLimits> = {},
  bytes = 1_000_000,
  enforcesRates = true,
) {
  const log = new PublicationLog(bytes);
  const recovered: RecoveryOutcome[] = [];
  const beyond: LimitName[] = [];
  const clock = { now: 0 };
  const membership = new Membership();
  const { index } = membership;
  const upstream = new FakeUpstream();
  const subscriptions = new Subscriptions(
    membership,
    { heldBackOf: () => undefined },
    {
      maxChannelsPerClient: 100,
      maxHistory: 1_000,
      replayRate: PLENTY,
      ...limits,
    },
    log,
    upstream,
    (outcome) => recovered.push(outcome),
    new LimitGuard(enforcesRates, (limit) => beyond.push(limit)),
    () => clock.now,
  );
  upstream.connect(listenerOf(subscriptions));
  subscriptions.cutOff = 'none';
  return {
    ...{ membership, index, upstream, subscriptions, log, recovered, beyond, clock },
    client: createTestConnection({ log }),
    other: createTestConnection({ log }),
    resume(client: TestConnection, id: RequestId, since: Position, channel = 'a') {
      const channels = [{ channel, since, history: undefined }];
      subscriptions.subscribe(client.connection, { ...request(id, []), channels }, 0);
    },
    subscribe(client: TestConnection, id: RequestId, names: readonly string[], now = 0) {
      subscriptions.subscribe(client.connection, request(id, names), now);
    },
    unsubscribe(client: TestConnection, id: RequestId, channels: readonly string[]) {
      subscriptions.unsubscribe(client.connection, { type: 'unsubscribe', id, channels });
    },
  };
}

/** The same, with a third client that reads nothing and occupies all replay memory. */
export function setUpFull() {
  const all = setUp({}, 2_000);
  const { subscriptions, upstream, log } = all;
  const client = createTestConnection({ log, limits: { ...LIMITS, slots: 1 } });
  client.sink.stalled = true;
  client.connection.send({ type: 'pong', serverTime: 0 });
  const since = { epoch: EPOCH, offset: 97 };
  const big = publicationsOf('a', 98, 100).map((one) => ({ ...one, body: Buffer.alloc(70) }));
  for (const name of ['a', 'b', 'c']) {
    const channels = [{ channel: name, since, history: undefined }];
    subscriptions.subscribe(client.connection, { ...request(name, []), channels }, 0);
    upstream.acknowledge([name], position);
    if (upstream.pendingReads.has(name)) upstream.answer(name, EPOCH, big);
  }
  return all;
}

export function request(id: RequestId, names: readonly string[]): SubscribeRequest {
  const channels = names.map((channel) => ({ channel, since: undefined, history: undefined }));
  return { type: 'subscribe', id, channels, rejected: [] };
}

/** A `subscribed` frame. */
export function frame(
  id: RequestId,
  subscribed: readonly (readonly [channel: string, ref: number])[],
  rejected: readonly (readonly [channel: string, code: ErrorCode])[],
  done: boolean,
) {
  return {
    type: 'subscribed',
    id,
    channels: subscribed.map(([channel, ref]) => ({ channel, ref })),
    ...(rejected.length === 0
      ? {}
      : { rejected: rejected.map(([channel, code]) => rejectedChannel(channel, code)) }),
    done,
  };
}

/** A client of {@link createTestConnection} has the phase 0. */
function rejectedChannel(channel: string, code: ErrorCode) {
  const retryAfterMs = retryWaitMs(code, 0);
  return retryAfterMs === undefined ? { channel, code } : { channel, code, retryAfterMs };
}
