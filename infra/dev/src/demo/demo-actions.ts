import type { BroughtRedis } from '../processes/bring-redis.ts';
import type { EventLog } from './event-log.ts';
import type { DemoEdge } from './nodes/demo-edge.ts';
import type { TradeSource } from './trades/trade-source.ts';

/** How long Redis stands still, in ms: longer than edges take to notice, and shorter than ingest keeps a trade (5 s). */
const FREEZE_MS = 4_000;

/** Trades of a burst. */
const BURST = 2_000;

/** What the demo's keys and its page may do to its tier. Each returns why it was not done; undefined if it was. */
export class DemoActions implements Disposable {
  readonly #edges: readonly DemoEdge[];
  readonly #redis: Pick<BroughtRedis, 'signal'>;
  readonly #source: Pick<TradeSource, 'burst'>;
  readonly #log: EventLog;
  #thaw: NodeJS.Timeout | undefined;

  constructor(
    edges: readonly DemoEdge[],
    redis: Pick<BroughtRedis, 'signal'>,
    source: Pick<TradeSource, 'burst'>,
    log: EventLog,
  ) {
    this.#edges = edges;
    this.#redis = redis;
    this.#source = source;
    this.#log = log;
  }

  get isFrozen(): boolean {
    return this.#thaw !== undefined;
  }

  get canFreeze(): boolean {
    return this.#redis.signal !== undefined;
  }

  get canBurst(): boolean {
    return this.#source.burst !== undefined;
  }

  /** @param name an edge; undefined for the first one that may end. */
  kill(name?: string): string | undefined {
    const edge = this.#mayEnd(name);
    if (typeof edge === 'string') return edge;
    edge.kill();
    return undefined;
  }

  /** @param name an edge; undefined for the first one that may end. */
  async drain(name?: string): Promise<string | undefined> {
    const edge = this.#mayEnd(name);
    if (typeof edge === 'string') return edge;
    return await edge.drain().then(
      () => undefined,
      ({ message }: Error) => message,
    );
  }

  freezeRedis(): string | undefined {
    if (!this.canFreeze) return 'This Redis is not a process of npm start.';
    if (this.isFrozen) return 'Redis stands still already.';
    this.#redis.signal?.('SIGSTOP');
    this.#log.add('bad', `Redis stands still for ${FREEZE_MS / 1_000} s`);
    this.#thaw = setTimeout(() => this.#endFreeze(), FREEZE_MS);
    return undefined;
  }

  burst(): string | undefined {
    if (!this.canBurst) return 'Recorded trades come at their own pace.';
    this.#source.burst?.(BURST);
    this.#log.add('plain', `a burst of ${BURST.toLocaleString('en')} trades`);
    return undefined;
  }

  [Symbol.dispose](): void {
    if (this.isFrozen) this.#endFreeze();
  }

  #endFreeze(): void {
    clearTimeout(this.#thaw);
    this.#thaw = undefined;
    this.#redis.signal?.('SIGCONT');
    this.#log.add('good', 'Redis goes on');
  }

  /** Returns the edge, or why it must not end: its clients need another one that is ready. */
  #mayEnd(name: string | undefined): DemoEdge | string {
    const ready = this.#edges.filter(({ isReady }) => isReady);
    const edge = name === undefined ? ready[0] : this.#edges.find((one) => one.name === name);
    if (edge === undefined)
      return name === undefined ? 'No edge is ready.' : `There is no ${name}.`;
    if (!edge.isReady) return `${edge.name} is not ready.`;
    return ready.length > 1 ? edge : 'The other edge is not ready yet: its clients could not move.';
  }
}
