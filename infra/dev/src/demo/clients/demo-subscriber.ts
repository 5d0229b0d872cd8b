import { type Client, connect, type Publication, type StateChange } from '@tradewind/client';
import type { TradeLedger } from '../trades/trade-ledger.ts';
import { DeliveryCheck, type DeliveryCounts } from './delivery-check.ts';
import type { Latency } from './latency.ts';
import type { Move } from './move-report.ts';

/** How long the first subscription may take to be confirmed, in ms. */
const READY_DEADLINE_MS = 10_000;

/** The first wait of a client that lost its node, in ms: short, because a demonstration is watched. */
const FIRST_WAIT_MS = 500;

export interface SubscriberOptions {
  readonly name: string;
  /** The node on which it begins, and to which it returns. */
  readonly home: string;
  /** The address of the edge to try, for each attempt. */
  readonly nextUrl: () => string;
  readonly channels: readonly string[];
  readonly ledger: TradeLedger;
  /** Records the latency of live publications that a node delivered. */
  readonly latencyOf: (node: string) => Latency | undefined;
  /** Called for every publication on a channel with a price, whoever published it. */
  readonly onPrice: (channel: string, price: string) => void;
  /** Called when it is on another node, before what it missed comes. */
  readonly onMove: (move: Move) => void;
}

/** The counts of one subscriber. */
export interface SubscriberCounts extends DeliveryCounts {
  /** Times that it came to another connection. */
  readonly moves: number;
  /** Trades that it missed meanwhile, and that history brought. */
  readonly recovered: number;
  /** Times that it was told of a gap. */
  readonly gaps: number;
}

/**
 * A client of the SDK that follows some channels, as a bot would, and compares what it receives with the ledger. After a lost
 * connection it resumes on another node.
 */
export class DemoSubscriber {
  readonly name: string;
  readonly home: string;
  readonly channels: readonly string[];
  readonly #options: SubscriberOptions;
  readonly #check: DeliveryCheck;
  readonly #client: Client;
  #node: string | undefined;
  #session: string | undefined;
  #lostAt: number | undefined;
  #moves = 0;
  #recovered = 0;
  #gaps = 0;

  private constructor(options: SubscriberOptions) {
    this.name = options.name;
    this.home = options.home;
    this.channels = options.channels;
    this.#options = options;
    this.#check = new DeliveryCheck(options.ledger, options.channels);
    this.#client = connect(options.nextUrl, { backoff: { firstMs: FIRST_WAIT_MS, maxMs: 2_000 } });
    this.#client.on('state', (change) => this.#takeState(change));
  }

  /**
   * Connects and resolves when all channels are confirmed; everything that is published from then on must arrive. Rejects
   * if an edge refuses a channel for good, or if it takes longer than 10 s.
   */
  static async start(options: SubscriberOptions): Promise<DemoSubscriber> {
    const subscriber = new DemoSubscriber(options);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new Error(`${options.home} did not confirm a subscription in time`);
      timer = setTimeout(() => reject(error), READY_DEADLINE_MS);
    });
    try {
      await Promise.race([subscriber.#subscribe(), late]);
    } catch (error) {
      await subscriber.stop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return subscriber;
  }

  /** The node that it is on; undefined while it has no connection. */
  get node(): string | undefined {
    return this.#node;
  }

  counts(): SubscriberCounts {
    return {
      ...this.#check.counts(),
      moves: this.#moves,
      recovered: this.#recovered,
      gaps: this.#gaps,
    };
  }

  /** How many trades it has not received. */
  pending(): number {
    return this.#check.pending();
  }

  /** Moves back to its home without a hole, if it is elsewhere. */
  goHome(): void {
    if (this.#node !== undefined && this.#node !== this.home) this.#client.reconnect();
  }

  /** Closes the connection for good and resolves when it has ended. */
  async stop(): Promise<void> {
    await this.#client.close();
  }

  async #subscribe(): Promise<void> {
    await Promise.all(
      this.channels.map((channel) => {
        const subscription = this.#client.channel(channel).subscribe({
          publication: (publication) => this.#take(publication),
          gap: () => {
            this.#gaps += 1;
          },
        });
        return subscription.ready;
      }),
    );
  }

  #take({ channel, data, replayed }: Publication<unknown>): void {
    if (typeof data !== 'object' || data === null) return;
    const { id, price } = data as { readonly id?: unknown; readonly price?: unknown };
    if (typeof price === 'string') this.#options.onPrice(channel, price);
    const entry = this.#options.ledger.find(channel, String(id));
    if (!entry) return;
    this.#check.take(channel, entry);
    if (replayed) {
      this.#recovered += 1;
      return;
    }
    const now = performance.now();
    const latency = this.#node === undefined ? undefined : this.#options.latencyOf(this.#node);
    latency?.record(now - entry.offeredAt, now);
  }

  #takeState({ state, previous }: StateChange): void {
    if (state.name !== 'online') {
      if (previous.name === 'online') this.#lostAt = performance.now();
      this.#node = undefined;
      return;
    }
    const { id, node } = state.session;
    this.#node = node;
    if (id === this.#session) return;
    const isFirst = this.#session === undefined;
    this.#session = id;
    const lostAt = this.#lostAt;
    this.#lostAt = undefined;
    if (isFirst) return;
    this.#moves += 1;
    this.#options.onMove({
      to: node,
      awayMs: lostAt === undefined ? undefined : performance.now() - lostAt,
    });
  }
}
