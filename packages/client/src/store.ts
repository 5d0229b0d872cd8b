import type { Channel, ChannelState, Gap, Missed, Publication } from './types.ts';

/** Publications in a snapshot. */
const DEFAULT_LIMIT = 100;

/** How often a hidden page calls subscribers, ms: it has no frames. */
const HIDDEN_MS = 1_000;

/** How often subscribers are called in a runtime without frames, ms. */
const FRAME_MS = 16;

/** The most gaps that a snapshot lists; `missed.count` includes older ones. */
const MOST_GAPS = 64;

/** Options of `toStore`. */
export interface StoreOptions {
  /** The number of latest publications in a snapshot [100]. */
  readonly limit?: number;
  /** How often subscribers are called at most: once a frame of the page ['frame'], or once in this many ms. */
  readonly everyMs?: 'frame' | number;
}

/** A channel at one moment. It never changes; the next one is a new object. */
export interface ChannelSnapshot<T> {
  /** The latest publications, the oldest first. All that came since the last snapshot are there, up to `limit`. */
  readonly items: readonly Publication<T>[];
  readonly latest?: Publication<T>;
  readonly state: ChannelState;
  /** What never came since the store was subscribed to. */
  readonly missed: Missed;
}

/** A channel for user interfaces: Svelte takes it as a store, React by `useSyncExternalStore`. */
export interface ChannelStore<T> {
  /** Returns the present snapshot. */
  get(): ChannelSnapshot<T>;
  /**
   * Calls `run` now and at each new snapshot, until the returned function is called. The store subscribes to the channel while
   * it has a subscriber.
   */
  subscribe(run: (snapshot: ChannelSnapshot<T>) => void): () => void;
}

const NOTHING_MISSED: Missed = Object.freeze({ count: 0, gaps: Object.freeze([]) });

/** The snapshot before anything came, also on servers. */
export const EMPTY: ChannelSnapshot<never> = Object.freeze({
  items: Object.freeze([]),
  state: Object.freeze({ name: 'idle' }),
  missed: NOTHING_MISSED,
});

/** Makes a store of a channel. It does nothing until its first subscriber. */
export function toStore<T>(channel: Channel<T>, options: StoreOptions = {}): ChannelStore<T> {
  const { limit = DEFAULT_LIMIT, everyMs = 'frame' } = options;
  const listeners = new Set<(snapshot: ChannelSnapshot<T>) => void>();
  let snapshot: ChannelSnapshot<T> = EMPTY;
  let pending: Publication<T>[] = [];
  let missed: Missed = NOTHING_MISSED;
  let seen: Publication<T> | undefined;
  let cancel: (() => void) | undefined;
  let end: (() => void) | undefined;

  const flush = (): void => {
    cancel?.();
    cancel = undefined;
    const items =
      pending.length === 0
        ? snapshot.items
        : Object.freeze([...snapshot.items, ...pending].slice(-limit));
    pending = [];
    const latest = items.at(-1);
    snapshot = Object.freeze({ items, ...(latest && { latest }), state: channel.state, missed });
    for (const listener of [...listeners]) {
      try {
        listener(snapshot);
      } catch (error) {
        // The other listeners must get this snapshot, and the page must still see the uncaught error.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  };
  const changed = (): void => {
    cancel ??= schedule(everyMs, flush);
  };
  const begin = (): void => {
    // The channel moved on while the store had no subscriber, so its old items would hide a hole.
    if (channel.latest !== seen || channel.state.name === 'idle') {
      snapshot = EMPTY;
      pending = [];
      missed = NOTHING_MISSED;
    }
    const subscription = channel.subscribe({
      publication(publication) {
        seen = channel.latest;
        pending.push(publication);
        if (pending.length > 2 * limit) pending = pending.slice(-limit);
        changed();
      },
      gap(gap) {
        missed = withGap(missed, gap);
        changed();
      },
      resync: changed,
      state: changed,
    });
    snapshot = Object.freeze({ ...snapshot, state: channel.state });
    end = () => subscription.unsubscribe();
  };

  return {
    get: () => snapshot,
    subscribe(run) {
      const listener = (next: ChannelSnapshot<T>): void => run(next);
      listeners.add(listener);
      if (listeners.size === 1) begin();
      run(snapshot);
      return () => {
        if (!listeners.delete(listener) || listeners.size > 0) return;
        cancel?.();
        cancel = undefined;
        end?.();
      };
    },
  };
}

function withGap({ count, gaps }: Missed, gap: Gap): Missed {
  const sum = count === undefined || gap.lost === undefined ? undefined : count + gap.lost;
  return Object.freeze({
    ...(sum !== undefined && { count: sum }),
    gaps: Object.freeze([...gaps, gap].slice(-MOST_GAPS)),
  });
}

interface Frames {
  requestAnimationFrame?(act: () => void): number;
  cancelAnimationFrame?(frame: number): void;
}

/** Calls `act` once, in the next frame or after the time; a hidden page has timers and no frames. */
function schedule(everyMs: 'frame' | number, act: () => void): () => void {
  const frames = globalThis as Frames;
  const isFrame = everyMs === 'frame' && frames.requestAnimationFrame !== undefined;
  const ms = everyMs === 'frame' ? (isFrame ? HIDDEN_MS : FRAME_MS) : everyMs;
  const timer = setTimeout(act, ms);
  const frame = isFrame ? frames.requestAnimationFrame!(act) : undefined;
  return () => {
    clearTimeout(timer);
    if (frame !== undefined) frames.cancelAnimationFrame?.(frame);
  };
}
