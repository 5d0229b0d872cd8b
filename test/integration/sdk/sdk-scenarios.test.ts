import { connect } from '@tradewind/client';
import { connect as connectBinary } from '@tradewind/client/binary';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controlSdk, WITHOUT_DEDUPE, WITHOUT_GENERATIONS } from '../../sdk/control-sdk.ts';
import { faultsOf } from '../../sdk/run-scene.ts';
import { SCENARIOS, type Scenario } from '../../sdk/scenarios/scenarios.ts';
import { Scene, type Sdk } from '../../sdk/scene.ts';
import { startTierDriver, type TierDriver } from '../../sdk/tier-driver.ts';
import { shortOrLong } from '../../support/suite/length.ts';
import { createRandom } from '../../support/suite/random.ts';

/** Repeats the same choices; the timing of the processes stays different. */
const SEED = Number(process.env.SDK_SEED ?? Date.now() % 1_000_000);

/** The scenario that is made by chance, and its runs. */
const BY_CHANCE = 25;
const SEEDS = shortOrLong(4, 200);

/** A control must fail within this number of seeds. */
const CONTROL_SEEDS = 20;
/** What a control has lost does not come, however long one waits. */
const CONTROL_WITHIN_MS = 2_000;

const SDK: Sdk = { connect, WebSocket: globalThis.WebSocket };
const BINARY_SDK: Sdk = { ...SDK, connect: connectBinary, isBinary: true };

/** What depends on frames most: replays, epochs, gaps, a slow consumer, and faults by chance. */
const SHORT_BINARY_NUMBERS = [8, 12, 13, 19, BY_CHANCE];
const BINARY_SEEDS = shortOrLong(3, 50);
const BINARY_SCENARIOS = shortOrLong(
  SCENARIOS.filter(({ number }) => SHORT_BINARY_NUMBERS.includes(number)),
  SCENARIOS,
);

let driver: TierDriver;

beforeAll(async () => {
  driver = await startTierDriver();
});
afterAll(() => driver?.[Symbol.asyncDispose]());

async function faultsOfRun(
  sdk: Sdk,
  { number, run }: Scenario,
  seed: number,
  withinMs?: number,
): Promise<readonly string[]> {
  const name = `s${number}-${seed}-${runs++}`;
  return await faultsOf(new Scene(sdk, driver, name, createRandom(seed).next, withinMs), run);
}
/** Each run has channels of its own. */
let runs = 0;

describe('the SDK on two real edges', () => {
  for (const scenario of SCENARIOS) {
    const { number, title } = scenario;
    for (let i = 0; i < (number === BY_CHANCE ? SEEDS : 1); i += 1) {
      const seed = SEED + i;
      const name = number === BY_CHANCE ? `${title}, SDK_SEED=${seed}` : title;
      it(`${number}: ${name}`, async () => {
        expect(await faultsOfRun(SDK, scenario, seed)).toEqual([]);
      });
    }
  }

  for (const scenario of BINARY_SCENARIOS) {
    const { number, title } = scenario;
    for (let i = 0; i < (number === BY_CHANCE ? BINARY_SEEDS : 1); i += 1) {
      const seed = SEED + i;
      it(`${number} by binary frames: ${title}, SDK_SEED=${seed}`, async () => {
        expect(await faultsOfRun(BINARY_SDK, scenario, seed)).toEqual([]);
      });
    }
  }

  it.each([WITHOUT_DEDUPE, WITHOUT_GENERATIONS])('control: fails $name', async (removal) => {
    const sdk = await controlSdk(removal);
    const scenario = SCENARIOS.find(({ number }) => number === BY_CHANCE)!;
    for (let seed = 1; seed <= CONTROL_SEEDS; seed += 1) {
      const faults = await faultsOfRun(sdk, scenario, seed, CONTROL_WITHIN_MS);
      if (faults.length > 0) return;
    }
    expect.fail('it kept the promise');
  });
});
