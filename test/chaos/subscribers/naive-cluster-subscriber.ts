import { type CalledChild, startCalledChild } from '../../../bench/load/processes/child-calls.ts';
import type { RedisAddress } from '../../support/redis/redis-topology.ts';
import { eventually } from '../../support/suite/wait.ts';
import type { Complaint } from '../oracle/complaint.ts';
import type { Ledger } from '../oracle/ledger.ts';
import { Oracle } from '../oracle/oracle.ts';
import type { Library, LibrarySubscriberCalls } from './library-subscriber-process.ts';

const SUBSCRIBER_PROCESS = new URL('./library-subscriber-process.ts', import.meta.url);

export const LIBRARIES: readonly Library[] = ['ioredis', 'node-redis'];

/** What a library's subscriber did not get. */
export interface Missed {
  readonly library: Library;
  readonly complaints: readonly Complaint[];
  /** Publications that Redis has and the subscriber never got, from its first one of each channel on. */
  readonly publications: number;
}

const HEADER = /^@1:(\w+):(\d+):\d+;/;

/**
 * The control of each fault of a Redis Cluster: a client of a Cluster as its library ships it, subscribed to sharded channels, which
 * believes every message. It has a process of its own, which ends with it.
 */
export class NaiveClusterSubscriber implements AsyncDisposable {
  readonly library: Library;
  readonly oracle: Oracle;
  readonly #child: CalledChild<LibrarySubscriberCalls>;
  readonly #ledger: Ledger;
  /** Of each channel: its first offset, and how many came. */
  readonly #got = new Map<string, { readonly first: number; count: number }>();
  #seq = 0;

  private constructor(
    library: Library,
    child: CalledChild<LibrarySubscriberCalls>,
    channels: readonly string[],
    ledger: Ledger,
  ) {
    this.library = library;
    this.#child = child;
    this.#ledger = ledger;
    this.oracle = new Oracle(library, ledger);
    this.oracle.connected();
    for (const channel of channels) this.oracle.asked(channel);
  }

  /** Resolves after something has come on each channel: publications must flow. The caller ends it. */
  static async start(
    library: Library,
    nodes: readonly RedisAddress[],
    channels: readonly string[],
    ledger: Ledger,
  ): Promise<NaiveClusterSubscriber> {
    await using stack = new AsyncDisposableStack();
    const child = stack.use(
      await startCalledChild<LibrarySubscriberCalls>(SUBSCRIBER_PROCESS, undefined),
    );
    const subscriber = new NaiveClusterSubscriber(library, child, channels, ledger);
    const addresses = nodes.map(({ host, port }) => ({ host, port }));
    await child.call('subscribe', { library, nodes: addresses, channels });
    await eventually(async () => {
      await subscriber.#read();
      return subscriber.#got.size === channels.length;
    });
    stack.move();
    return subscriber;
  }

  /** What it has missed until now. */
  async finish(): Promise<Missed> {
    await this.#read();
    let publications = 0;
    for (const [channel, { first, count }] of this.#got) {
      const last = this.#ledger.head(channel)?.offset ?? first;
      publications += Math.max(0, last - first + 1 - count);
    }
    return { library: this.library, complaints: this.oracle.finish(), publications };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop();
  }

  async #read(): Promise<void> {
    for (const [channel, message] of await this.#child.call('take', undefined))
      this.#take(channel, message);
  }

  #take(channel: string, message: string): void {
    const [header = '', epoch = '', text = ''] = HEADER.exec(message) ?? [];
    if (header === '') return;
    const offset = Number(text);
    const got = this.#got.get(channel);
    if (got !== undefined) got.count += 1;
    else {
      this.#got.set(channel, { first: offset, count: 1 });
      const position = { epoch, offset: offset - 1 };
      this.oracle.take({
        type: 'subscribed',
        channels: [{ channel, ref: 0, ...position }],
        done: true,
      });
    }
    const data = message.slice(header.length);
    this.#seq += 1;
    this.oracle.take({ type: undefined, seq: this.#seq, channel, data, offset });
  }
}
