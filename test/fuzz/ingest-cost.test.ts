import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRedis } from '../support/redis/redis.ts';
import { evaluateIn } from '../support/services/inspector.ts';
import { startIngest, untilLinked } from '../support/services/service.ts';
import { type Cost, forgetCosts, METERED, takeCosts } from './costs.ts';

/** Bytes of a body, a little less than ingest accepts (`INGEST_MAX_BODY_BYTES`). */
const BODY_BYTES = 1_000_000;

/** CPU time that one turn of ingest's loop may take for a body: at most 0.06 µs a byte were seen. */
const MOST_MICROS_A_BYTE = 0.25;

const stack = new AsyncDisposableStack();
let ingest: Awaited<ReturnType<typeof startIngest>>;

beforeAll(async () => {
  const redis = stack.use(await startRedis());
  ingest = stack.use(await startIngest({ ...METERED, REDIS_URL: redis.url }));
  await untilLinked(ingest);
});
afterAll(() => stack.disposeAsync());

/** Repeats a piece as often as a body has room for it. */
function filled(piece: string, [before, after] = ['', '']): string {
  return before + piece.repeat(Math.floor(BODY_BYTES / piece.length)) + after;
}

/** A list of `count` entries. */
function entries(count: number, entry: (index: number) => string): string {
  return `[${Array.from({ length: count }, (_, i) => entry(i)).join()}]`;
}

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

const BODIES: readonly (readonly [string, string])[] = [
  [
    'entries with keys',
    entries(1_000, (i) => `{"channel":"c${i}","data":1,"idempotencyKey":"${i}"}`),
  ],
  ['large entries', entries(1_000, () => `{"channel":"c","data":"${'x'.repeat(900)}"}`)],
  ['escapes', entries(1_000, () => `{"channel":"c","data":"${'\\u0041'.repeat(150)}"}`)],
  ['far too many entries', entries(BODY_BYTES / 3, () => '{}')],
  ['numbers', filled('1,', ['[', '1]'])],
  ['deep lists', nested(BODY_BYTES / 2)],
  ['deep data', entries(16, () => `{"channel":"c","data":${nested(30_000)}}`)],
  ['deep objects', `${'{"a":'.repeat(160_000)}1${'}'.repeat(160_000)}`],
  ['one field, repeated', filled('"channel":"c",', ['{', '"data":1}'])],
  ['a huge number', '9'.repeat(BODY_BYTES)],
  ['huge numbers', entries(15, () => `{"channel":"c","data":${'9'.repeat(60_000)}}`)],
  ['a text without an end', filled('\\"', ['{"channel":"', ''])],
  [
    'inherited names',
    entries(1_000, () => '{"__proto__":{"constructor":1},"channel":"c","data":1}'),
  ],
];

/** Sends a body and returns the most expensive turn of ingest's loop since. */
async function costOf(body: string, contentType = 'application/json'): Promise<Cost> {
  await forgetCosts(ingest);
  const response = await fetch(`${ingest.url}/v1/publish`, {
    method: 'POST',
    body,
    headers: { 'content-type': contentType },
  });
  await response.text();
  expect([200, 207, 400, 413]).toContain(response.status);
  // The next callback ends the measurement of the one that answered.
  await fetch(`${ingest.url}/readyz`);
  return (await takeCosts(ingest)).callbacks[0]!;
}

it.each(BODIES)('reads %s at a cost that grows with the bytes', async (_, body) => {
  const { cpuMs } = await costOf(body);
  expect(cpuMs).toBeLessThan((MOST_MICROS_A_BYTE * BODY_BYTES) / 1_000);
});

it('reads a megabyte of empty lines', async () => {
  const { cpuMs } = await costOf('\n'.repeat(BODY_BYTES), 'application/x-ndjson');
  expect(cpuMs).toBeLessThan((MOST_MICROS_A_BYTE * BODY_BYTES) / 1_000);
});

it('notices a body that is read again for each of its entries', async () => {
  await evaluateIn(
    ingest,
    `globalThis.parse = JSON.parse; JSON.parse = (text) => {
      let sum = 0;
      for (let n = 0; n < 60; n += 1) for (let i = 0; i < text.length; i += 1) sum += text.charCodeAt(i);
      return sum > 0 && parse(text);
    }; 0`,
  );
  const [[, body]] = BODIES.filter(([name]) => name === 'large entries') as [[string, string]];
  const { cpuMs } = await costOf(body);
  await evaluateIn(ingest, 'JSON.parse = globalThis.parse; 0');
  expect(cpuMs).toBeGreaterThan((MOST_MICROS_A_BYTE * BODY_BYTES) / 1_000);
});
