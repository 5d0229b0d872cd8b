import { Redis, type RedisOptions } from 'ioredis';
import type { Complaint } from './complaint.ts';
import type { Ledger } from './ledger.ts';
import { Oracle } from './oracle.ts';

/** What ioredis needs to find Redis. */
type Whereabouts = Pick<RedisOptions, 'host' | 'port' | 'sentinels' | 'name'>;

const HEADER = /^@1:(\w+):(\d+):\d+;/;

/**
 * What everybody writes first: a Redis client with its defaults, which subscribes and believes what
 * comes. It stands beside an edge as the control of every fault on that link: its oracle has to
 * complain. Plain publications are passed on without an offset.
 */
export class NaiveSubscriber implements Disposable {
  readonly oracle: Oracle;
  readonly redis: Redis;
  #seq = 0;
  readonly #begun = new Set<string>();

  private constructor(where: Whereabouts, channels: readonly string[], ledger: Ledger) {
    this.oracle = new Oracle('naive', ledger);
    this.redis = new Redis({
      ...where,
      // Named as an edge's link is, so that the same faults befall it.
      connectionName: 'tradewind-naive-subscriber',
      // ioredis does the very same, but its rejection has nobody to catch it and would end the test run.
      autoResubscribe: false,
    });
    this.redis.on('error', () => {});
    this.redis.on('message', (channel, message) => this.#take(channel, message));
    this.redis.on('ready', () => this.redis.subscribe(...channels).catch(() => {}));
    this.oracle.connected();
    // From here on it misses what does not come, be it from the first publication on.
    for (const channel of channels) this.oracle.asked(channel);
  }

  /**
   * Resolves when it is subscribed. The caller ends it.
   *
   * @param where a URL, or what ioredis needs to find Redis by Sentinels.
   */
  static async start(where: string | Whereabouts, channels: readonly string[], ledger: Ledger) {
    const { hostname: host, port } = new URL(typeof where === 'string' ? where : 'redis://none');
    const options = typeof where === 'string' ? { host, port: Number(port) } : where;
    const subscriber = new NaiveSubscriber(options, channels, ledger);
    await subscriber.redis.subscribe(...channels);
    return subscriber;
  }

  /** Ends it and returns what it complains about. */
  finish(): readonly Complaint[] {
    this.redis.disconnect();
    return this.oracle.finish();
  }

  [Symbol.dispose](): void {
    this.redis.disconnect();
  }

  #take(channel: string, message: string): void {
    const header = HEADER.exec(message);
    const epoch = header?.[1];
    const offset = header === null ? undefined : Number(header[2]);
    if (!this.#begun.has(channel)) {
      this.#begun.add(channel);
      this.oracle.asked(channel);
      const position = epoch === undefined ? {} : { epoch, offset: offset! - 1 };
      const channels = [{ channel, ref: 0, ...position }];
      this.oracle.take({ type: 'subscribed', channels, done: true });
    }
    const data = header === null ? message : message.slice(header[0].length);
    this.oracle.take({
      ...{ type: undefined, seq: ++this.#seq, channel, data },
      ...(offset === undefined ? {} : { offset }),
    });
  }
}
