import { Redis, type RedisOptions } from 'ioredis';
import type { Complaint } from '../oracle/complaint.ts';
import type { Ledger } from '../oracle/ledger.ts';
import { Oracle } from '../oracle/oracle.ts';

/** The options by which ioredis finds Redis. */
type Whereabouts = Pick<RedisOptions, 'host' | 'port' | 'sentinels' | 'name'>;

const HEADER = /^@1:(\w+):(\d+):\d+;/;

/**
 * The usual first solution: a Redis client with its defaults, which subscribes and believes every message. It is the
 * control of each fault on an edge's link: its oracle must complain. Plain publications are passed on without an
 * offset.
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
      // Named like an edge's link, so that the same faults affect it.
      connectionName: 'tradewind-naive-subscriber',
      // ioredis does the same, but nothing handles its rejection, which would end the test run.
      autoResubscribe: false,
    });
    this.redis.on('error', () => {});
    this.redis.on('message', (channel, message) => this.#take(channel, message));
    this.redis.on('ready', () => this.redis.subscribe(...channels).catch(() => {}));
    this.oracle.connected();
    // From now on every missing message counts, from the first publication on.
    for (const channel of channels) this.oracle.asked(channel);
  }

  /**
   * Resolves after it has subscribed. The caller ends it.
   *
   * @param where a URL, or options by which ioredis finds Redis through Sentinels.
   */
  static async start(where: string | Whereabouts, channels: readonly string[], ledger: Ledger) {
    const { hostname: host, port } = new URL(typeof where === 'string' ? where : 'redis://none');
    const options = typeof where === 'string' ? { host, port: Number(port) } : where;
    const subscriber = new NaiveSubscriber(options, channels, ledger);
    await subscriber.redis.subscribe(...channels);
    return subscriber;
  }

  /** Ends it and returns its complaints. */
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
