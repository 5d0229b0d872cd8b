import { WebSocket } from 'ws';
import type { Edge } from './cluster.ts';
import { DeliveryCheck, type DeliveryCounts } from './delivery-check.ts';
import type { Latency } from './latency.ts';
import type { TradeLedger } from './trade-ledger.ts';

/** How long the first subscription may take to be confirmed, in ms. */
const READY_DEADLINE_MS = 10_000;

/** Pause before a lost connection is opened again, in ms. */
const RECONNECT_MS = 1_000;

/** The wait before a subscription that the edge refused for now is requested again, in ms. */
const RESUBSCRIBE_MS = 250;

/** The code of a rejection that does not depend on the request: the edge's link to Redis is not up (yet). */
const NOT_NOW = 'unavailable';

/** The edge to connect to. */
export type EdgeAddress = Pick<Edge, 'name' | 'wsUrl'>;

export interface SubscriberOptions {
  readonly name: string;
  readonly edge: EdgeAddress;
  readonly channels: readonly string[];
  readonly ledger: TradeLedger;
  /** Records the latency of publications; shared by the subscribers of an edge. */
  readonly latency: Latency;
  /** Called for every publication on a channel with a price, whoever published it. */
  readonly onPrice: (channel: string, price: string) => void;
}

/** The counts of one subscriber. */
export interface SubscriberCounts extends DeliveryCounts {
  /** Publications whose `seq` does not follow the one before. */
  readonly sequenceBreaks: number;
  /** Times that the connection was lost. */
  readonly connectionsLost: number;
}

/** The fields of a server frame that are read; all others are ignored. */
interface Frame {
  readonly type?: string;
  readonly done?: boolean;
  readonly rejected?: readonly { readonly channel: string; readonly code: string }[];
  readonly message?: string;
  readonly seq?: number;
  readonly channel?: string;
  readonly data?: { readonly id?: unknown; readonly price?: unknown } | null;
}

/**
 * A client that subscribes to some channels, as a bot would, and compares what it receives with the ledger. It reconnects
 * after a lost connection, and what it missed counts as missing.
 */
export class DemoSubscriber {
  readonly name: string;
  readonly edge: EdgeAddress;
  readonly channels: readonly string[];
  readonly #options: SubscriberOptions;
  readonly #check: DeliveryCheck;
  #socket: WebSocket | undefined;
  #reconnect: NodeJS.Timeout | undefined;
  #resubscribe: NodeJS.Timeout | undefined;
  #stopped = false;
  #lastSeq = 0;
  #sequenceBreaks = 0;
  #connectionsLost = 0;

  private constructor(options: SubscriberOptions) {
    this.name = options.name;
    this.edge = options.edge;
    this.channels = options.channels;
    this.#options = options;
    this.#check = new DeliveryCheck(options.ledger, options.channels);
  }

  /**
   * Connects and resolves when all channels are confirmed; everything that is published from then on must arrive. Repeats
   * what the edge refuses for now. Rejects if the edge refuses for good, or takes longer than 10 s.
   */
  static async start(options: SubscriberOptions): Promise<DemoSubscriber> {
    const subscriber = new DemoSubscriber(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`${options.edge.name} did not confirm a subscription in time`)),
      READY_DEADLINE_MS,
    );
    try {
      subscriber.#connect(resolve, reject);
      await promise;
    } catch (error) {
      await subscriber.stop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return subscriber;
  }

  counts(): SubscriberCounts {
    return {
      ...this.#check.counts(),
      sequenceBreaks: this.#sequenceBreaks,
      connectionsLost: this.#connectionsLost,
    };
  }

  /** How many trades it has not received. */
  pending(): number {
    return this.#check.pending();
  }

  /** Closes the connection for good and resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#reconnect);
    clearTimeout(this.#resubscribe);
    const socket = this.#socket;
    if (!socket || socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.terminate();
    await closed;
  }

  #connect(onReady: () => void, onRefused: (error: Error) => void): void {
    const socket = new WebSocket(this.edge.wsUrl, { perMessageDeflate: false });
    this.#socket = socket;
    this.#lastSeq = 0;
    socket.on('open', () => this.#subscribe(socket));
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      if (frame.type === undefined) this.#takePublication(frame);
      else this.#takeControl(frame, socket, onReady, onRefused);
    });
    socket.on('error', onRefused);
    socket.on('close', () => {
      clearTimeout(this.#resubscribe);
      if (this.#stopped) return;
      this.#connectionsLost += 1;
      this.#reconnect = setTimeout(() => this.#connect(onReady, onRefused), RECONNECT_MS);
    });
  }

  #subscribe(socket: WebSocket): void {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify({ type: 'subscribe', id: 1, channels: this.channels }));
  }

  #takeControl(
    frame: Frame,
    socket: WebSocket,
    onReady: () => void,
    onRefused: (error: Error) => void,
  ): void {
    if (frame.type === 'error') onRefused(new Error(`${this.edge.name}: ${frame.message}`));
    if (frame.type !== 'subscribed') return;
    const rejected = frame.rejected?.find(({ code }) => code !== NOT_NOW) ?? frame.rejected?.[0];
    if (rejected?.code === NOT_NOW) {
      // A channel that it already holds is answered again, and nothing changes.
      clearTimeout(this.#resubscribe);
      this.#resubscribe = setTimeout(() => this.#subscribe(socket), RESUBSCRIBE_MS);
    } else if (rejected) {
      onRefused(new Error(`${this.edge.name} rejected ${rejected.channel}: ${rejected.code}`));
    } else if (frame.done) onReady();
  }

  #takePublication({ seq, channel, data }: Frame): void {
    if (seq !== this.#lastSeq + 1) this.#sequenceBreaks += 1;
    this.#lastSeq = seq ?? 0;
    if (channel === undefined || data === null || typeof data !== 'object') return;
    if (typeof data.price === 'string') this.#options.onPrice(channel, data.price);
    const entry = this.#options.ledger.find(channel, String(data.id));
    if (!entry) return;
    this.#check.take(channel, entry);
    const now = performance.now();
    this.#options.latency.record(now - entry.offeredAt, now);
  }
}
