import { randomUUID } from 'node:crypto';
import { RedisUnavailableError } from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { createFakePublisher } from './fake-publisher.ts';
import type { Pace } from './pace.ts';
import type { Publisher, PublishTerms } from './publish.ts';
import { replay } from './replay.ts';

const TERMS: PublishTerms = { idempotencyWindowMs: 1_000, notAfterMs: undefined };
const AT_ONCE: Pace = { kind: 'rate', perSecond: 1e9 };

describe('replay', () => {
  it('publishes each line as it was written, in order', async () => {
    const publisher = createFakePublisher();
    const lines = [
      line({ id: 1 }),
      ` ${line({ id: 2, price: '1.10' })}\t`,
      line({ symbol: 'BTC' }),
    ];
    const outcome = await run({ publisher, text: `${lines.join('\n')}\n` });
    expect(publisher.published).toEqual([
      `ETH.trade ${lines[0]}`,
      `ETH.trade ${lines[1]?.trim()}`,
      `BTC.trade ${lines[2]}`,
    ]);
    expect(outcome).toMatchObject({ published: 3, invalid: 0, refused: undefined });
  });

  it('publishes nothing twice within a run, and counts it apart', async () => {
    const publisher = createFakePublisher();
    const once = line({ id: '7', venue: 'kraken' });
    const outcome = await run({ publisher, text: [once, line({ id: '8' }), once].join('\n') });
    expect(outcome).toMatchObject({ published: 2, duplicates: 1, refused: undefined });
    expect(publisher.asked.map(({ key }) => key)).toEqual([
      'run-1:kraken:7',
      'run-1:file:8',
      'run-1:kraken:7',
    ]);
  });

  it('tells invalid lines by number, leaves blank ones out, and goes on', async () => {
    const publisher = createFakePublisher();
    const invalid: string[] = [];
    const text = ['', line({}), '{"symbol":', 'null', line({ side: 'x' }), '', line({})].join('\n');
    const outcome = await run({
      publisher,
      text,
      onInvalid: (number, { code }) => void invalid.push(`${number} ${code}`),
    });
    expect(invalid).toEqual(['3 bad_json', '4 bad_message', '5 bad_trade']);
    expect(outcome).toMatchObject({ published: 2, invalid: 3 });
    expect(outcome.position).toBe(Buffer.byteLength(text));
  });

  it('takes neither a line that is too long nor one that is not UTF-8', async () => {
    const publisher = createFakePublisher();
    const invalid: string[] = [];
    await run({
      publisher,
      chunks: [Buffer.alloc(5_000, 'x'), Buffer.from('\n'), Buffer.from([0xff])],
      onInvalid: (_line, { code }) => void invalid.push(code),
    });
    expect(invalid).toEqual(['publication_too_large', 'bad_payload']);
    expect(publisher.calls).toBe(0);
  });

  it('stops at the first line that is not accepted, and says which', async () => {
    const publisher = createFakePublisher();
    publisher.failFrom(3, new RedisUnavailableError('unknown', 'no answer within 1500 ms'));
    const outcome = await run({
      publisher,
      text: Array.from({ length: 50 }, () => line({})).join('\n'),
      maxInFlight: 1,
    });
    expect(outcome.published).toBe(2);
    expect(outcome.refused).toEqual({
      line: 3,
      reason: 'unavailable: no answer within 1500 ms; whether it was published is not known',
    });
    expect(publisher.calls).toBe(3);
  });

  it('does not wait for the next trade to tell of a failure', async () => {
    const publisher = createFakePublisher();
    publisher.failFrom(1, new RedisUnavailableError('not-sent', 'down'));
    const text = [line({ ts: 0 }), line({ ts: 3_600_000 })].join('\n');
    const outcome = await run({ publisher, text, pace: { kind: 'own', speed: 1 } });
    expect(outcome.refused?.line).toBe(1);
  });

  it('has no more on its way than it may', async () => {
    const publisher = createFakePublisher();
    const release = publisher.hold();
    const done = run({
      publisher,
      text: Array.from({ length: 9 }, () => line({})).join('\n'),
      maxInFlight: 4,
    });
    await expect.poll(() => publisher.calls).toBe(4);
    await new Promise((resolve) => setImmediate(resolve));
    expect(publisher.calls).toBe(4);
    release();
    await done;
    expect(publisher.calls).toBe(9);
  });

  it('keeps the pace of the schedule', async () => {
    const publisher = createFakePublisher();
    const startedAt = performance.now();
    await run({
      publisher,
      text: Array.from({ length: 6 }, (_, index) => line({ ts: index * 1_000 })).join('\n'),
      pace: { kind: 'own', speed: 50 },
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(99);
  });

  it('ends when it is told to, in the middle of a wait', async () => {
    const publisher = createFakePublisher();
    const stop = new AbortController();
    const outcome = await run({
      publisher,
      text: [line({ ts: 0 }), line({ ts: 3_600_000 })].join('\n'),
      pace: { kind: 'own', speed: 1 },
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    expect(outcome).toMatchObject({ published: 1, refused: undefined });
  });

  it('blames no line for a publication that was given up because it was told to end', async () => {
    const stop = new AbortController();
    const outcome = await run({
      publisher: {
        available: true,
        async publish() {
          stop.abort();
          throw stop.signal.reason;
        },
      },
      text: [line({}), line({})].join('\n'),
      maxInFlight: 1,
      signal: stop.signal,
    });
    expect(outcome).toMatchObject({ published: 0, refused: undefined });
  });
});

function run(options: {
  readonly publisher: Publisher;
  readonly text?: string;
  readonly chunks?: readonly Buffer[];
  readonly pace?: Pace;
  readonly maxInFlight?: number;
  readonly signal?: AbortSignal;
  readonly onInvalid?: Parameters<typeof replay>[0]['onInvalid'];
  readonly onProgress?: () => void;
}) {
  async function* stream(): AsyncGenerator<Buffer> {
    yield* options.chunks ?? [Buffer.from(options.text ?? '')];
  }
  return replay({
    stream: stream(),
    publisher: options.publisher,
    origin: { source: 'file', run: 'run-1' },
    terms: () => TERMS,
    pace: options.pace ?? AT_ONCE,
    maxInFlight: options.maxInFlight ?? 8,
    maxPublicationBytes: 1_000,
    signal: options.signal ?? new AbortController().signal,
    onInvalid: options.onInvalid ?? (() => undefined),
    onProgress: options.onProgress ?? (() => undefined),
  });
}

function line(change: Readonly<Record<string, unknown>>): string {
  const trade = { symbol: 'ETH', id: randomUUID(), ts: 1, side: 'buy', price: '1.50', size: '2' };
  return JSON.stringify({ ...trade, ...change });
}
