/** Channels whose bounds one worker remembers, at most: 200 KB. The oldest entry is forgotten first. */
const MAX_CHANNELS = 1_024;

/**
 * How long a history counts as too long, in ms. Only if a publication is deleted does it become shorter without beginning
 * later.
 */
const TOO_LONG_FOR_MS = 60_000;

/** How far back a channel's history goes. */
export interface HistoryBound {
  /** Offsets before this one have left the history for good; 0 if nothing is known. */
  readonly trimmedBefore: number;
  /** A replay that begins before this offset is larger than one channel may have; 0 if nothing is known. */
  readonly tooLongBefore: number;
}

interface Known extends HistoryBound {
  readonly epoch: string;
  /** When `tooLongBefore` was learned, in ms on the monotonic clock. */
  readonly tooLongAt: number;
}

const NOTHING: HistoryBound = { trimmedBefore: 0, tooLongBefore: 0 };

/**
 * Remembers what reads have shown of channels' histories, so that the same read is not repeated in vain. It stays true, because
 * within an epoch a history only begins later, and from one offset on it only grows. It is kept when the last client leaves the
 * channel. Otherwise a client that leaves and comes back would cause the same read each time.
 */
export class HistoryBounds {
  readonly #known = new Map<string, Known>();
  readonly #now: () => number;

  /** @param now ms on the monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What is known of a channel's history in this epoch. */
  of(channel: string, epoch: string): HistoryBound {
    const known = this.#known.get(channel);
    if (known?.epoch !== epoch) return NOTHING;
    const { trimmedBefore, tooLongBefore, tooLongAt } = known;
    const isOver = this.#now() - tooLongAt >= TOO_LONG_FOR_MS;
    return { trimmedBefore, tooLongBefore: isOver ? 0 : tooLongBefore };
  }

  /** Records that offsets before this one have left the history. */
  recordTrimmed(channel: string, epoch: string, before: number): void {
    const known = this.of(channel, epoch);
    this.#record(channel, epoch, {
      ...known,
      trimmedBefore: Math.max(before, known.trimmedBefore),
    });
  }

  /** Records that a replay that begins before this offset is too large. */
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
