/** Channels of which something is remembered on one worker, at most: 200 KB. The oldest is forgotten first. */
const MAX_CHANNELS = 1_024;

/**
 * How long it counts that a history is too long, in ms. Only a publication that is deleted can make it shorter without
 * making it begin later.
 */
const TOO_LONG_FOR_MS = 60_000;

/** How far back a channel's history goes. */
export interface HistoryBound {
  /** What lies before this offset has left the history for good; 0 if nothing is known. */
  readonly trimmedBefore: number;
  /** What begins before this offset is more than may be replayed of one channel; 0 if nothing is known. */
  readonly tooLongBefore: number;
}

interface Known extends HistoryBound {
  readonly epoch: string;
  /** When `tooLongBefore` was learned, in ms on the monotonic clock. */
  readonly tooLongAt: number;
}

const NOTHING: HistoryBound = { trimmedBefore: 0, tooLongBefore: 0 };

/**
 * What answers have shown of channels' histories and what stays true, so that nobody makes Redis send the same again for
 * nothing: within an epoch a history only begins later and, from one offset on, only grows. It outlasts the interest
 * in a channel: whoever leaves and comes back at once would have all read again.
 */
export class HistoryBounds {
  readonly #known = new Map<string, Known>();
  readonly #now: () => number;

  /** @param now ms on the monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  of(channel: string, epoch: string): HistoryBound {
    const known = this.#known.get(channel);
    if (known?.epoch !== epoch) return NOTHING;
    const { trimmedBefore, tooLongBefore, tooLongAt } = known;
    const isOver = this.#now() - tooLongAt >= TOO_LONG_FOR_MS;
    return { trimmedBefore, tooLongBefore: isOver ? 0 : tooLongBefore };
  }

  recordTrimmed(channel: string, epoch: string, before: number): void {
    const known = this.of(channel, epoch);
    this.#record(channel, epoch, {
      ...known,
      trimmedBefore: Math.max(before, known.trimmedBefore),
    });
  }

  recordTooLong(channel: string, epoch: string, before: number): void {
    const known = this.of(channel, epoch);
    const tooLongBefore = Math.max(before, known.tooLongBefore);
    this.#record(channel, epoch, { ...known, tooLongBefore }, this.#now());
  }

  #record(
    channel: string,
    epoch: string,
    bounds: HistoryBound,
    tooLongAt = this.#known.get(channel)?.tooLongAt ?? 0,
  ): void {
    this.#known.delete(channel);
    this.#known.set(channel, { epoch, tooLongAt, ...bounds });
    if (this.#known.size <= MAX_CHANNELS) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}
