import { Redis } from 'ioredis';

/** The epoch that all channels with a history are in. */
export const EPOCH = 'abc';

/** The bytes of a payload that costs the least to read, and of one that edges take just so. */
const SMALL_BYTES = 100;
const USUAL_BYTES = 500;
const LARGE_BYTES = 30_000;

/** Larger than edges take (`EDGE_MAX_PUBLICATION_BYTES`). */
const TOO_LARGE_BYTES = 70_000;

/** A `meta` that is none, in bytes. */
const HUGE_META_BYTES = 1_000_000;

interface History {
  readonly channels: readonly string[];
  readonly payloads: readonly (string | Buffer)[];
}

const numbered = (name: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${name}.${i}`);

const payloads = (count: number, bytes: number): readonly string[] =>
  Array.from({ length: count }, () => `"${'x'.repeat(bytes - 2)}"`);

/** Channels by what is behind them in Redis; the names that a grammar of inputs takes from. */
export const CHANNELS = {
  /** No history, and never a publication. */
  absent: numbered('absent', 40),
  short: numbered('short', 8),
  long: numbered('long', 8),
  /** Longer than a replay may be. */
  tooLong: numbered('toolong', 4),
  /** In the middle of the history stand publications that cannot be delivered. */
  broken: numbered('broken', 4),
  /** What stands in Redis is not what belongs there. */
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

/** Writes the histories of {@link CHANNELS} as the publish script would have. */
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
