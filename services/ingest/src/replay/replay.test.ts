import { randomUUID } from 'node:crypto';
import { RedisUnavailableError } from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { createFakePublisher } from '../publishing/fake-publisher.ts';
import type { Published, Publisher, PublishTerms } from '../publishing/publish.ts';
import type { Pace } from './pace.ts';
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

  it('begins at the line it is told to, and its schedule there', async () => {
    const publisher = createFakePublisher();
    const invalid: number[] = [];
    const lines = [line({ ts: 0 }), 'x', line({ ts: 3_600_000 }), 'x', line({ ts: 3_600_000 })];
    const outcome = await run({
      publisher,
      text: lines.join('\n'),
      pace: { kind: 'own', speed: 1 },
      fromLine: 3,
      onInvalid: (number) => void invalid.push(number),
    });
    expect(publisher.published).toEqual([`ETH.trade ${lines[2]}`, `ETH.trade ${lines[4]}`]);
    expect(invalid).toEqual([4]);
    expect(outcome).toMatchObject({ published: 2, invalid: 1, lines: 5, nextLine: undefined });
    expect(outcome.position).toBe(Buffer.byteLength(lines.join('\n')));
  });

  it('has nothing to do, and says how many lines there are, behind the last one', async () => {
    const publisher = createFakePublisher();
    const outcome = await run({ publisher, text: `${line({})}\n`, fromLine: 2 });
    expect(outcome).toMatchObject({ published: 0, lines: 1, nextLine: undefined });
  });

  it('goes on at the first line that was not accepted, whatever was answered first', async () => {
    const answers = Array.from({ length: 4 }, () => Promise.withResolvers<Published>());
    let calls = 0;
    const done = run({
      publisher: {
        available: true,
        publish() {
          calls += 1;
          return answers[calls - 1]!.promise;
        },
      },
      text: ['', ...Array.from({ length: 9 }, () => line({}))].join('\n'),
      maxInFlight: 4,
    });
    await expect.poll(() => calls).toBe(4);
    // Line 5 is known not to have been sent before line 3 is known to be in doubt.
    answers[3]!.reject(new RedisUnavailableError('not-sent', 'down'));
    answers[0]!.resolve({ epoch: 'e', offset: 1, duplicate: false });
    answers[2]!.resolve({ epoch: 'e', offset: 2, duplicate: false });
    answers[1]!.reject(new RedisUnavailableError('unknown', 'no answer'));
    const outcome = await done;
    expect(outcome.refused?.line).toBe(3);
    expect(outcome).toMatchObject({ published: 2, nextLine: 3, publishedTo: 4 });
  });

  it.each([
    ['not-sent', undefined],
    ['unknown', 3],
  ] as const)('%s: says whether a line is in doubt', async (outcome, publishedTo) => {
    const publisher = createFakePublisher();
    publisher.failFrom(3, new RedisUnavailableError(outcome, 'down'));
    const text = Array.from({ length: 9 }, () => line({})).join('\n');
    expect(await run({ publisher, text, maxInFlight: 1 })).toMatchObject({
      nextLine: 3,
      publishedTo,
    });
  });

  it.each([1, 8])(
    'publishes each line once when it goes on where it was ended, with %d on their way',
    async (maxInFlight) => {
      const publisher = createFakePublisher();
      // Nothing to recognize anything by.
      const forgetful: Publisher = {
        available: true,
        publish: (publication, terms) =>
          publisher.publish({ ...publication, idempotencyKey: undefined }, terms),
      };
      const lines = Array.from({ length: 30 }, () => line({}));
      const text = `x\n${lines.join('\n')}\n`;
      let fromLine: number | undefined = 1;
      for (let runs = 0; fromLine !== undefined && runs < 40; runs += 1) {
        const stop = new AbortController();
        let steps = 0;
        ({ nextLine: fromLine } = await run({
          publisher: forgetful,
          text,
          fromLine,
          maxInFlight,
          signal: stop.signal,
          onProgress() {
            steps += 1;
            if (steps === 7) stop.abort();
          },
        }));
      }
      expect(publisher.published).toEqual(lines.map((text) => `ETH.trade ${text}`));
    },
  );

  it('does not go back when it is told to end while it skips lines', async () => {
    const stop = new AbortController();
    stop.abort();
    const publisher = createFakePublisher();
    const text = [line({}), line({}), line({})].join('\n');
    const outcome = await run({ publisher, text, fromLine: 3, signal: stop.signal });
    expect(outcome).toMatchObject({ published: 0, nextLine: 3, publishedTo: undefined });
  });

  it('does not wait for the next trade to tell of a failure', async () => {
    const publisher = createFakePublisher();
    publisher.failFrom(1, new RedisUnavailableError('not-sent', 'down'));
    const text = [line({ ts: 0 }), line({ ts: 3_600_000 })].join('\n');
    const outcome = await run({ publisher, text, pace: { kind: 'own', speed: 1 } });
    expect(outcome.refused?.line).toBe(1);
  });

  it('has at most the allowed number of publications in flight', async () => {
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

  it('blames no line for a publication that it gave up because it was told to end', async () => {
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
    expect(outcome).toMatchObject({ nextLine: 1, publishedTo: undefined });
  });
});

function run(options: {
  readonly publisher: Publisher;
  readonly text?: string;
  readonly chunks?: readonly Buffer[];
  readonly pace?: Pace;
  readonly fromLine?: number;
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
    fromLine: options.fromLine ?? 1,
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
