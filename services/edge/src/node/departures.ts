import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How often departures are looked at, in ms: a wave of them is to be over, and what they leave to be given up. */
const LOOK_INTERVAL_MS = 10_000;

/** Fewer departures than this are not worth a collection. */
const LEAST_DEPARTURES = 256;

/**
 * Nor are fewer than this share of the clients that stayed, whose objects a collection has to visit: it took 200 ms with
 * 360 MB of them, as much as some 80,000 clients need that only wait.
 */
const LEAST_SHARE = 0.1;

/**
 * A wave is over when at most this share of its departures came since the last look. So where clients leave all the
 * time, there is no collection before ten looks.
 */
const OVER_SHARE = 0.1;

/** As much of V8 as is needed for one thread's old generation. */
export interface OldGeneration {
  /** Tells of each collection of it, a moment later. Returns what ends that. */
  watch(collected: () => void): () => void;
  /** Collects it, and the young one with it, at once. */
  collect(): void;
}

/**
 * Gives back the memory of clients that have left. V8 collects the old generation, where their objects are, when that
 * has grown: so after a crowd or many stalled clients have gone, an edge may keep what they needed for hours. So it is
 * collected once a wave of departures is over, unless V8 has done it since. What has become free then goes back to
 * the system by `memory-return.ts`. ADR 36 has what it costs.
 */
export class Departures {
  readonly #stayed: () => number;
  readonly #oldGeneration: OldGeneration;
  readonly #unwatch: () => void;
  readonly #timer: NodeJS.Timeout;
  /** Since the last collection; of these since the last look, and between the two looks before. */
  #departed = 0;
  #recently = 0;
  #before = 0;

  /** @param stayed how many clients there are. */
  constructor(
    stayed: () => number,
    oldGeneration: OldGeneration = V8_OLD_GENERATION,
    lookIntervalMs: number = LOOK_INTERVAL_MS,
  ) {
    this.#stayed = stayed;
    this.#oldGeneration = oldGeneration;
    this.#unwatch = oldGeneration.watch(() => {
      // V8 marks for a while before it collects, and what was let go of meanwhile may have stayed.
      this.#departed = this.#recently + this.#before;
    });
    this.#timer = setInterval(() => this.#look(), lookIntervalMs).unref();
  }

  /** A client has left. */
  count(): void {
    this.#departed += 1;
    this.#recently += 1;
  }

  /** Collects nothing any more. Can be called more than once. */
  stop(): void {
    clearInterval(this.#timer);
    this.#unwatch();
  }

  #look(): void {
    const isOver = this.#recently <= OVER_SHARE * this.#departed;
    this.#before = this.#recently;
    this.#recently = 0;
    if (!isOver || this.#departed < LEAST_DEPARTURES) return;
    if (this.#departed < LEAST_SHARE * this.#stayed()) return;
    this.#departed = 0;
    this.#before = 0;
    this.#oldGeneration.collect();
  }
}

let collectGarbage: NodeJS.GCFunction | undefined;

/** This thread's own. */
export const V8_OLD_GENERATION: OldGeneration = {
  watch(collected) {
    const observer = new PerformanceObserver((list) => {
      if (list.getEntries().some(isMajor)) collected();
    });
    observer.observe({ entryTypes: ['gc'] });
    return () => observer.disconnect();
  },
  collect() {
    collectGarbage ??= exposeGarbageCollector();
    collectGarbage();
  },
};

/** The global function exists in contexts that are made once the flag is set. */
function exposeGarbageCollector(): NodeJS.GCFunction {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}

function isMajor(entry: PerformanceEntry): boolean {
  const { detail } = entry as PerformanceEntry & { readonly detail?: { readonly kind?: number } };
  return detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}
