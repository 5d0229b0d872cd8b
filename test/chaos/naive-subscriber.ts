import { Redis } from 'ioredis';
import type { Ledger } from './ledger.ts';
import { type Complaint, Oracle } from './oracle.ts';

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

  private constructor(url: string, ledger: Ledger) {
    this.oracle = new Oracle('naive', ledger);
    // Named as an edge's link is, so that the same faults befall it.
    this.redis = new Redis(url, { connectionName: 'tradewind-naive-subscriber' });
    this.redis.on('error', () => {});
    this.redis.on('message', (channel, message) => this.#take(channel, message));
    this.oracle.connected();
  }

  /** Resolves when it is subscribed. The caller ends it. */
  static async start(url: string, channels: readonly string[], ledger: Ledger) {
    const subscriber = new NaiveSubscriber(url, ledger);
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
