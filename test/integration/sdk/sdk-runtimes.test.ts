import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Driver } from '../../sdk/driver.ts';
import { type Runtime, type RuntimeName, startRuntime } from '../../sdk/runtimes.ts';
import { SCENARIOS } from '../../sdk/scenarios/scenarios.ts';
import { startTierDriver, type TierDriver } from '../../sdk/tier-driver.ts';
import { shortOrLong } from '../../support/suite/length.ts';

const SEED = Number(process.env.SDK_SEED ?? Date.now() % 1_000_000);

const NAMES: readonly RuntimeName[] = ['chromium', 'bun', 'deno'];

/** How each runtime calls itself. */
const AGENTS: Readonly<Record<RuntimeName, RegExp>> = {
  chromium: /Chrome/,
  bun: /^Bun\//,
  deno: /^Deno\//,
};

/** What depends on the runtime's own WebSocket most: a failed handshake, a cut, and a token in the first frame. */
const SHORT_NUMBERS = [4, 8, 9];
const CHOSEN = shortOrLong(
  SCENARIOS.filter(({ number }) => SHORT_NUMBERS.includes(number)),
  SCENARIOS,
);

/** A replay with and without history, by binary frames. */
const SHORT_BINARY_NUMBERS = [8];
const BINARY = shortOrLong(
  SCENARIOS.filter(({ number }) => SHORT_BINARY_NUMBERS.includes(number)),
  SCENARIOS,
);

/** The scenario that is made by chance, and its runs. Node has far more of them: they try the SDK rather than the runtime. */
const BY_CHANCE = 25;
const SEEDS = 20;

let driver: TierDriver;
/** Each run has channels of its own. */
let runs = 0;

beforeAll(async () => {
  driver = await startTierDriver();
});
afterAll(() => driver?.[Symbol.asyncDispose]());

describe.each(NAMES)('the SDK in %s', (name) => {
  let runtime: Runtime | undefined;

  beforeAll(async () => {
    runtime = await startRuntime(name, driver);
  });
  afterAll(() => runtime?.[Symbol.asyncDispose]());

  /** Skips with a word where the runtime is missing. */
  function present(skip: (why: string) => void): Runtime {
    if (runtime === undefined) skip(`there is no ${name} here`);
    return runtime!;
  }

  async function faultsOf(
    skip: (why: string) => void,
    step: number | string,
    seed = SEED,
    isBinary = false,
  ): Promise<readonly string[]> {
    runs += 1;
    return await present(skip).run({ step, name: `r${runs}-${seed}`, seed, isBinary });
  }

  it('is imported, and reports what went wrong', async ({ skip }) => {
    expect(present(skip).agent).toMatch(AGENTS[name]);
    expect(await faultsOf(skip, 'nothing')).toEqual(['there is no nothing']);
  });

  for (const { number, title } of CHOSEN) {
    for (let i = 0; i < (number === BY_CHANCE ? SEEDS : 1); i += 1) {
      const seed = SEED + i;
      it(`${number}: ${title}, SDK_SEED=${seed}`, async ({ skip }) => {
        expect(await faultsOf(skip, number, seed)).toEqual([]);
      });
    }
  }

  for (const { number, title } of BINARY) {
    it(`${number} by binary frames: ${title}, SDK_SEED=${SEED}`, async ({ skip }) => {
      expect(await faultsOf(skip, number, SEED, true)).toEqual([]);
    });
  }

  if (name !== 'chromium') return;

  // First, because a tab that DevTools froze hears no more that another one covers it.
  it('24: a client that pauses while its tab is hidden loses nothing', async ({ skip }) => {
    expect(await faultsOf(skip, 'hidden-and-paused')).toEqual([]);
  });

  for (const step of ['frozen', 'frozen-without-visibility', 'frozen-for-long']) {
    it(`1: a tab that is ${step.replaceAll('-', ' ')}`, async ({ skip }) => {
      expect(await faultsOf(skip, step)).toEqual([]);
    });
  }

  it('24: a client that is closed or paused stays so when its tab goes on', async ({ skip }) => {
    expect(await faultsOf(skip, 'closed-or-paused')).toEqual([]);
  });

  it.for([true, false])('24: a reload, with positions: %s', async (keepsPositions, { skip }) => {
    const page = present(skip);
    runs += 1;
    const scene = { name: `r${runs}-${SEED}`, seed: SEED };
    expect(await page.run({ step: 'before-reload', ...scene })).toEqual([]);
    await publishWhile(driver, `BTC.${scene.name}.a`, page.reload());
    const after = keepsPositions ? 'after-reload' : 'after-reload-without-positions';
    const faults = await page.run({ step: after, ...scene });
    if (keepsPositions) expect(faults).toEqual([]);
    else expect(faults).toEqual([expect.stringContaining('the first offset')]);
  });

  it('24: ten times to another page and back', async ({ skip }) => {
    expect(await faultsOf(skip, 'back-and-forth')).toEqual([]);
  });
});

/** Publishes on a channel until something is done, and a little more. */
async function publishWhile(
  { publish }: Driver,
  channel: string,
  reload: Promise<void>,
): Promise<void> {
  let isDone = false;
  const done = reload.finally(() => {
    isDone = true;
  });
  while (!isDone) await publish(channel, 1);
  await done;
  await publish(channel, 2);
}
