import { expect, it } from 'vitest';
import { shortOrLong } from '../support/length.ts';
import { type Crowd, type EdgeFuzzOptions, type EdgeFuzzReport, fuzzEdge } from './edge-fuzz.ts';
import { CROWD, conditionsFor, FEW, FEW_ODD, ROWDY_CROWD } from './edge-runs.ts';
import { complaintsAbout, formatSummary } from './verdict.ts';

/** Another than the default makes other inputs; `npm run fuzz` takes one by chance. */
const SEED = Number(process.env.FUZZ_SEED ?? 15);

/** Handles a message in the square of its length, and never lets go of what it made of it. */
const SQUARE = `
  const { parse } = JSON;
  globalThis.kept = [];
  JSON.parse = (text) => {
    let sum = 0;
    for (let i = 0; i < text.length; i += 1) for (let j = 0; j < text.length; j += 4) sum += i ^ j;
    kept.push(sum, text + ' '.repeat(100_000) + sum);
    Buffer.from(kept.at(-1));
    return parse(text);
  }`;

/** With it no history is too long to be replayed, which is a bound of its own beside those that are switched off. */
const LARGE_RING_BYTES = String(256 * 1024 * 1024);

async function fuzz(
  crowd: Crowd,
  messages: number,
  { env, ...more }: Partial<EdgeFuzzOptions> = {},
): Promise<EdgeFuzzReport> {
  const { env: settings, ...allowances } = conditionsFor(crowd);
  const report = await fuzzEdge({
    ...{ seed: SEED, messages, crowd, redisDelayMs: 50, ...allowances, ...more },
    env: { EDGE_LINGER_MS: '100', ...settings, ...env },
  });
  console.log(`FUZZ_SEED=${SEED} ${formatSummary(report)}`);
  return report;
}

async function run(...args: Parameters<typeof fuzz>): Promise<readonly string[]> {
  return complaintsAbout(await fuzz(...args));
}

/**
 * The same seed makes the same inputs, so what they cost too much they cost twice; what a busy machine or a
 * collection of garbage costs does not come again at once. What the first run complained of is printed.
 */
async function expectWorthIt(crowd: Crowd, messages: number, redisDelayMs = 50): Promise<void> {
  const complaints = await run(crowd, messages, { redisDelayMs });
  if (complaints.length === 0) return;
  console.log(`again, because of: ${complaints.join('\n')}`);
  expect(await run(crowd, messages, { redisDelayMs })).toEqual([]);
}

it('nothing that a crowd of clients sends costs an edge more than it is worth', async () => {
  await expectWorthIt(CROWD, shortOrLong(2_500, 20_000));
});

it('nor what is no message of the protocol; a handling in the square of its bytes is noticed', async () => {
  await expectWorthIt(ROWDY_CROWD, shortOrLong(1_000, 10_000));
  expect(await run(ROWDY_CROWD, 500, { sabotage: SQUARE, leaveMs: 1_000 })).toEqual([
    expect.stringContaining('of CPU time at once'),
    expect.stringContaining('held'),
    expect.stringContaining('when all had left'),
  ]);
});

it('few that ask for the past again and again get no more than limits allow; without these they get it', async () => {
  const limited = await fuzz(FEW, 400, { redisDelayMs: 0 });
  expect(complaintsAbout(limited)).toEqual([]);
  const env = { EDGE_LIMITS: 'report', EDGE_RING_BYTES: LARGE_RING_BYTES };
  const unlimited = await fuzz(FEW, 400, { redisDelayMs: 0, env });
  // The clients end their questions early, so that what is too much by the oracle is not reached on each machine.
  expect(unlimited.redis.outBytes).toBeGreaterThan(5 * limited.redis.outBytes);
});

it('few that resume channels of which Redis holds what is none get no more either', async () => {
  await expectWorthIt(FEW_ODD, 250, 0);
});
