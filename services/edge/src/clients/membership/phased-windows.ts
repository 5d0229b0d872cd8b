import { SharedWindows } from './shared-windows.ts';

/**
 * The number of phases in which windows begin, and the time from one phase to the next in ms: all phases begin within the
 * shortest interval, and each one round of flushes after the one before (the default of `EDGE_FLUSH_MS`).
 */
const PHASES = 5;
const PHASE_MS = 20;

/** How many clients whose queues lie side by side share a phase. So a node with few clients has one timer for each interval. */
const CLIENTS_TOGETHER = 64;

/**
 * The windows of each interval, in several phases: if a thousand clients were written to at one moment, all others would wait
 * for that. A client has one phase for all its channels and intervals, so what they bring at one moment still leaves in one
 * write.
 */
export class PhasedWindows<T> {
  /** By their interval in ms, and then by their phase. */
  readonly #windows: ReadonlyMap<number, readonly SharedWindows<T>[]>;

  /**
   * @param intervalsMs none may be shorter than 100 ms.
   * @param serve see {@link SharedWindows}.
   */
  constructor(intervalsMs: readonly number[], serve: (one: T) => boolean) {
    const phases = Array.from({ length: PHASES }, (_, i) => i * PHASE_MS);
    this.#windows = new Map(
      intervalsMs.map((ms) => [ms, phases.map((phaseMs) => new SharedWindows(ms, phaseMs, serve))]),
    );
  }

  /** The windows of an interval for the client with this queue. */
  of(everyMs: number, queueId: number): SharedWindows<T> {
    const phase = Math.floor(queueId / CLIENTS_TOGETHER) % PHASES;
    return this.#windows.get(everyMs)?.[phase] as SharedWindows<T>;
  }

  /** Ends the timers. */
  stop(): void {
    for (const phases of this.#windows.values()) for (const each of phases) each.stop();
  }
}
