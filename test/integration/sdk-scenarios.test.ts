import { connect } from '@tradewind/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCENARIOS, Scene, type Sdk } from '../sdk/scenarios.ts';
import { startTierDriver, type TierDriver } from '../sdk/tier-driver.ts';
import { shortOrLong } from '../support/length.ts';
import { createRandom } from '../support/random.ts';

/** Repeats the same choices; the timing of the processes stays different. */
const SEED = Number(process.env.SDK_SEED ?? Date.now() % 1_000_000);

/** Runs of the scenario that is made by chance. */
const BY_CHANCE = 25;
const SEEDS = shortOrLong(10, 200);

const SDK: Sdk = { connect, WebSocket: globalThis.WebSocket };

let driver: TierDriver;

beforeAll(async () => {
  driver = await startTierDriver();
});
afterAll(() => driver?.[Symbol.asyncDispose]());

describe('the SDK on two real edges', () => {
  for (const { number, title, run } of SCENARIOS) {
    const seeds = number === BY_CHANCE ? SEEDS : 1;
    for (let i = 0; i < seeds; i += 1) {
      const seed = SEED + i;
      const name = seeds === 1 ? `${number}: ${title}` : `${number}: ${title}, SDK_SEED=${seed}`;
      it(name, async () => {
        const scene = new Scene(SDK, driver, `s${number}-${seed}`, createRandom(seed).next);
        try {
          await run(scene);
        } finally {
          for (const edge of driver.urls.keys()) {
            for (const fault of ['clear', 'accept', 'edge'] as const)
              await driver.fault(edge, fault);
          }
          expect(await scene.end()).toEqual([]);
        }
      });
    }
  }
});
