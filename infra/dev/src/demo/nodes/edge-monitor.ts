import type { DemoEdge } from './demo-edge.ts';

/** How often an edge's metrics are read, in ms. */
const INTERVAL_MS = 1_000;

/** Figures of an edge; undefined for each that the edge does not report. */
export interface EdgeReading {
  readonly clients: number | undefined;
  readonly channels: number | undefined;
  readonly messagesPerSecond: number | undefined;
  /** It is cut off from Redis, and tells its clients so. */
  readonly isDegraded: boolean;
}

const NOTHING: EdgeReading = {
  clients: undefined,
  channels: undefined,
  messagesPerSecond: undefined,
  isDegraded: false,
};

/** Reads an edge's `/metrics` once a second until it is stopped. */
export class EdgeMonitor {
  readonly edge: DemoEdge;
  readonly #timer: NodeJS.Timeout;
  #reading = NOTHING;
  #before: { readonly deliveries: number; readonly at: number } | undefined;
  #isAsking = false;

  constructor(edge: DemoEdge) {
    this.edge = edge;
    this.#timer = setInterval(() => this.#ask(), INTERVAL_MS);
    this.#ask();
  }

  get reading(): EdgeReading {
    return this.#reading;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const metrics = await this.edge.metrics();
      this.#reading = {
        clients: metrics.sum('tradewind_edge_connections'),
        channels: metrics.sum('ws_subscription_index_channels'),
        messagesPerSecond: this.#rate(metrics.sum('tradewind_edge_deliveries_total')),
        isDegraded: metrics.sum('tradewind_edge_degraded') === 1,
      };
    } catch {
      this.#reading = NOTHING;
      this.#before = undefined;
    } finally {
      this.#isAsking = false;
    }
  }

  #rate(deliveries: number | undefined): number | undefined {
    const before = this.#before;
    const at = performance.now();
    this.#before = deliveries === undefined ? undefined : { deliveries, at };
    if (before === undefined || deliveries === undefined) return undefined;
    return (deliveries - before.deliveries) / ((at - before.at) / 1_000);
  }
}
