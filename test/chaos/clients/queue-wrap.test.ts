import type { Gap } from '@tradewind/protocol';
import { expect, it } from 'vitest';
import type { ServiceEnvironment } from '../../support/services/service.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';
const SLOTS = 512;

/** Bytes of one filler; some hundreds fill every buffer between an edge and a client that does not read. */
const FILLER_BYTES = 60_000;
const MOST_FILLERS = 1_000;

/** Fillers between two readings of the queue; far fewer than it holds. */
const FILLERS_AT_ONCE = 10;

/** After this time without movement a queue's socket counts as blocked, in ms. */
const STILL_MS = 500;

/** No client is disconnected as slow, and only slots bound the queue. */
const PATIENT = {
  ...{ EDGE_SLOW_GRACE_MS: '600000', EDGE_SLOW_MAX_LAG_MS: '600000' },
  ...{ EDGE_QUEUE_BYTES: '67108864', EDGE_WORKERS: '1' },
};

/** Nothing that a queue refuses is kept for later. */
const NO_LOG = { EDGE_RING_BYTES: '0' };

/** The outcome of filling a client's queue with a number of publications. */
interface Outcome {
  /** Queued publications after the last one had arrived. */
  readonly depth: number;
  readonly refused: number;
  readonly caughtUp: number;
  /** The gap notices that the client received after it had read again. */
  readonly gaps: readonly Gap[];
}

async function read(scenario: Scenario, metric: string): Promise<number> {
  return (await scenario.edges[0]!.metrics()).sum(`tradewind_edge_${metric}`) ?? 0;
}

/** Publishes until the edge's queue is permanently not empty. Returns its length. */
async function block(scenario: Scenario): Promise<number> {
  const filler = JSON.stringify('x'.repeat(FILLER_BYTES));
  let waiting = 0;
  let since = performance.now();
  let fillers = 0;
  await scenario.until(async () => {
    const depth = await read(scenario, 'queue_depth_max');
    for (let i = 0; depth === 0 && i < FILLERS_AT_ONCE && fillers < MOST_FILLERS; i += 1) {
      fillers += 1;
      await scenario.redis.control.publish('filler', filler);
    }
    if (depth !== waiting) since = performance.now();
    waiting = depth;
    return depth > 0 && performance.now() - since > STILL_MS;
  }, 'the socket is blocked');
  return waiting;
}

/** Fills the queue of a client that does not read with exactly this many publications; then the client reads. */
async function fillTo(scenario: Scenario, publications: number): Promise<Outcome> {
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0 });
  await publisher.publishOne(CHANNEL);
  const [client] = await scenario.connect({ channels: [CHANNEL, 'filler'] });
  const gaps: Gap[] = [];
  client!.onFrame = (frame) => {
    if (frame.type === 'gap') gaps.push(frame);
  };
  client!.pause();
  const waiting = await block(scenario);
  const before = await read(scenario, 'deliveries_total');
  for (let i = waiting; i < publications; i += 1) await publisher.publishOne(CHANNEL);
  const taken = async (): Promise<boolean> => {
    const queued = (await read(scenario, 'deliveries_total')) - before;
    return queued + (await read(scenario, 'refusals_total')) === publications - waiting;
  };
  await scenario.until(taken, 'the edge has them all');
  const depth = await read(scenario, 'queue_depth_max');
  const refused = await read(scenario, 'refusals_total');
  client!.resume();
  await scenario.settle();
  return { depth, refused, caughtUp: await read(scenario, 'caught_up_total'), gaps };
}

async function start(env: ServiceEnvironment): Promise<Scenario> {
  return await Scenario.start({ env: { ...PATIENT, ...env } });
}

for (const publications of [SLOTS - 1, SLOTS]) {
  it(`B5: ${publications} publications fit into a queue of ${SLOTS}: none is refused`, async () => {
    await using scenario = await start(NO_LOG);
    const outcome = await fillTo(scenario, publications);
    expect(outcome).toEqual({ depth: publications, refused: 0, caughtUp: 0, gaps: [] });
    await scenario.verify();
  });
}

it(`B5: of ${SLOTS + 1} the last is refused, and exactly that one is reported`, async () => {
  await using scenario = await start(NO_LOG);
  const outcome = await fillTo(scenario, SLOTS + 1);
  const { offset } = scenario.ledger.head(CHANNEL)!;
  expect(outcome).toMatchObject({ depth: SLOTS, refused: 1, caughtUp: 0 });
  expect(outcome.gaps).toMatchObject([{ from: offset, to: offset, lost: 1, reason: 'slow' }]);
  await scenario.verify({ lost: 'told' });
});

it(`B5: of ${SLOTS + 1} the last is refused, and delivered later if a log holds it`, async () => {
  await using scenario = await start({});
  const outcome = await fillTo(scenario, SLOTS + 1);
  expect(outcome).toEqual({ depth: SLOTS, refused: 1, caughtUp: 1, gaps: [] });
  await scenario.verify();
});

it(`B5, control: of ${SLOTS} the last does not fit into a queue of one slot less`, async () => {
  await using scenario = await start({ ...NO_LOG, EDGE_QUEUE_SLOTS: String(SLOTS - 1) });
  const outcome = await fillTo(scenario, SLOTS);
  expect(outcome).toMatchObject({ depth: SLOTS - 1, refused: 1, caughtUp: 0 });
  await scenario.expectComplaints(['told-lost']);
});
