import { Redis } from 'ioredis';

/** The epoch of all channels with a history. */
export const EPOCH = 'abc';

/** The size of the cheapest payload, and of the largest payload that edges accept. */
const SMALL_BYTES = 100;
const USUAL_BYTES = 500;
const LARGE_BYTES = 30_000;

/** Larger than edges accept (`EDGE_MAX_PUBLICATION_BYTES`). */
const TOO_LARGE_BYTES = 70_000;

/** The size of an invalid `meta`, in bytes. */
const HUGE_META_BYTES = 1_000_000;

interface History {
  readonly channels: readonly string[];
  readonly payloads: readonly (string | Buffer)[];
}

const numbered = (name: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${name}.${i}`);

const payloads = (count: number, bytes: number): readonly string[] =>
  Array.from({ length: count }, () => `"${'x'.repeat(bytes - 2)}"`);

/** Channels by their state in Redis; a grammar of inputs chooses from these names. */
export const CHANNELS = {
  /** No history, and never any publication. */
  absent: numbered('absent', 40),
  short: numbered('short', 8),
  long: numbered('long', 8),
  /** Longer than the longest replay. */
  tooLong: numbered('toolong', 4),
  /** With undeliverable publications in the middle of the history. */
  broken: numbered('broken', 4),
  /** With the wrong kind of value in Redis. */
  odd: ['odd.huge', 'odd.list', 'odd.text', 'odd.log'],
} as const;

const HISTORIES: readonly History[] = [
  { channels: CHANNELS.short, payloads: payloads(20, SMALL_BYTES) },
  { channels: CHANNELS.long, payloads: payloads(1_000, USUAL_BYTES) },
  { channels: CHANNELS.tooLong, payloads: payloads(200, LARGE_BYTES) },
  {
    channels: CHANNELS.broken,
    payloads: [
      ...payloads(50, SMALL_BYTES),
      Buffer.from([0x22, 0xff, 0xfe, 0x22]),
      ...payloads(1, TOO_LARGE_BYTES),
      ...payloads(50, SMALL_BYTES),
    ],
  },
];

/** Writes the histories of {@link CHANNELS} as the publish script would. */
export async function prepareChannels(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl);
  try {
    for (const { channels, payloads: texts } of HISTORIES) {
      for (const channel of channels) {
        const pipeline = redis.pipeline();
        pipeline.set(`{${channel}}:meta`, `${EPOCH}:${texts.length}`);
        for (const [i, text] of texts.entries()) {
          pipeline.xadd(`{${channel}}:log`, `${i + 1}-0`, 't', '1', 'p', text);
        }
        await pipeline.exec();
      }
    }
    await redis.set('{odd.huge}:meta', 'x'.repeat(HUGE_META_BYTES));
    await redis.rpush('{odd.list}:meta', 'x');
    await redis.set('{odd.text}:meta', 'no position');
    await redis.set('{odd.log}:meta', `${EPOCH}:10`);
    await redis.rpush('{odd.log}:log', 'x');
  } finally {
    redis.disconnect();
  }
}
