import { expect, it } from 'vitest';
import {
  describePlan,
  type FaultChoice,
  planEachFault,
  planFaults,
  suffer,
} from '../scenario/faults.ts';
import { Scenario } from '../scenario/scenario.ts';

/** By the script, which leaves unanswered publications in doubt; and through ingest, with idempotency keys. */
const SCRIPT_CHANNELS = ['BTC.trade', 'ETH.trade'];
const INGEST_CHANNELS = ['SOL.trade', 'XRP.trade'];
const CHANNELS = [...SCRIPT_CHANNELS, ...INGEST_CHANNELS];
const RATE = 200;

const EDGES = 3;
const CLIENTS = 60;
const LASTS_MS = 60_000;

/** The least that dropping clients once and killing a node once must cause: resumed channels, replayed trades. */
const LEAST_RESUMED = 100;

/** Resolves after all faults have happened, trades flow again and publishing has stopped. */
async function run(scenario: Scenario, plan: readonly FaultChoice[]): Promise<void> {
  const ingest = await scenario.startIngest();
  const script = scenario.publish({ channels: SCRIPT_CHANNELS, ratePerSecond: RATE });
  const repeating = scenario.publish({
    ...{ channels: INGEST_CHANNELS, ratePerSecond: RATE, via: ingest.publisher },
    onUnknown: 'repeat',
  });
  const publishers = [script, repeating];
  const flows = async (): Promise<void> => {
    const before = publishers.map(({ acknowledged }) => acknowledged + RATE);
    const all = (): boolean => publishers.every((each, i) => each.acknowledged > before[i]!);
    await scenario.until(all, 'trades flow');
  };
  await flows();
  await scenario.connect({ channels: CHANNELS, count: CLIENTS });
  await suffer({ scenario, repeating: [repeating] }, plan);
  await flows();
  for (const publisher of publishers) await publisher.stop();
  await scenario.settle();
}

it('E1: three edges under random faults for 60 s: no client has a reason to complain', async () => {
  await using scenario = await Scenario.start({ edges: EDGES });
  console.log(`CHAOS_SEED=${scenario.seed} npm run chaos -- random-faults`);
  const plan = planFaults(scenario.random, EDGES, LASTS_MS);
  await run(scenario, plan);
  await scenario.verify({ epochs: 'any' }).catch((error: Error) => {
    throw new Error(`${error.message}\nwhat happened:\n${describePlan(plan)}`);
  });
  expect(scenario.count('recovered')).toBeGreaterThan(LEAST_RESUMED);
  expect(scenario.count('replayed')).toBeGreaterThan(LEAST_RESUMED);
});

it('E1, control: the same faults on edges that read no history: missed publications are reported, not delivered', async () => {
  await using scenario = await Scenario.start({ edges: EDGES, env: { EDGE_MAX_HISTORY: '0' } });
  // Each fault once and half as long: reporting does not depend on the duration.
  const plan = planEachFault(scenario.random, EDGES).map((each) => {
    return { ...each, lastsMs: each.lastsMs / 2, pauseMs: each.pauseMs / 2 };
  });
  await run(scenario, plan);
  await scenario.expectComplaints(['told-lost', 'not-recovered'], { epochs: 'any' });
  expect(scenario.count('recovered')).toBe(0);
});
