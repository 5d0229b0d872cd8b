import type { Deferred } from '../deferred.ts';
import type {
  ChannelState,
  Gap,
  Position,
  Publication,
  Recovered,
  Resync,
  SubscribedInfo,
} from '../types.ts';
import { type After, LatestPace } from './latest-pace.ts';

/** What a consumer needs of its channel. */
export interface ConsumerOwner {
  /** The consumer has ended, and takes nothing more. */
  leave(consumer: Consumer): void;
  /** The consumer is paused, and would take what lies behind its position. */
  continueAgain(): void;
  /** Calls a function of the application and reports what it throws. */
  guard(call: () => void): void;
  /** Calls `act` in a later turn of the event loop. */
  later(act: () => void): void;
}

/**
 * One who reads a channel. It has a position of its own, because a channel may be sent again for the sake of another
 * consumer: what lies behind the position is not taken twice.
 */
export abstract class Consumer {
  /** The epoch and offset up to which it has been given everything; `offset` is undefined before the first. */
  epoch: string | undefined;
  offset: number | undefined;
  /**
   * Whether it refuses publications, because too many wait. It ends with the answer to a `subscribe` that continues at this
   * consumer's position: what is live meanwhile would leave a hole.
   */
  isPaused = false;
  /** Whether it is paused and would continue. */
  wantsBack = false;
  /** Waits for the channel to be confirmed. */
  ready: Deferred<SubscribedInfo> | undefined;

  /** Undefined: it wants every publication. */
  pace: LatestPace | undefined;

  /** From now on it takes the newest publication of each interval; see {@link LatestPace}. */
  slowDown(everyMs: number, servedMs: () => number, after: After): void {
    this.pace = new LatestPace(everyMs, servedMs, after, (publication, characters) =>
      this.take(publication, characters),
    );
  }

  /** Begins behind this position. */
  start(epoch: string | undefined, offset: number | undefined): void {
    this.epoch = epoch;
    this.offset = offset;
  }

  /**
   * Offers a publication, which is shared and must not be changed. Returns whether it was taken.
   *
   * @param characters of its frame.
   */
  publication(publication: Publication<unknown>, characters: number): boolean {
    const { epoch, offset } = publication;
    const before = this.pace === undefined ? undefined : this.#position;
    if (offset !== undefined) {
      if (this.isPaused) return false;
      if (epoch === this.epoch && this.offset !== undefined && offset <= this.offset) return false;
      this.epoch = epoch;
      this.offset = offset;
    }
    if (this.pace === undefined) this.take(publication, characters);
    else this.pace.offer(publication, characters, before);
    return true;
  }

  gap(gap: Gap): void {
    const { epoch, to } = gap;
    let own = gap;
    if (to !== undefined) {
      if (this.isPaused) return;
      if (epoch === this.epoch && this.offset !== undefined) {
        if (to <= this.offset) return;
        own = gapBehind(gap, this.offset);
      }
      this.epoch = epoch;
      this.offset = to;
    }
    this.pace?.flush();
    this.lost(own);
  }

  resync(resync: Resync): void {
    this.epoch = resync.epoch;
    this.offset = resync.offset;
    this.pace?.flush();
    this.lost(resync);
  }

  /** Everything up to here has been used by the application. */
  get used(): Position | undefined {
    return this.pace?.isHolding === true ? this.pace.behind : this.#position;
  }

  get #position(): Position | undefined {
    const { epoch, offset } = this;
    return epoch === undefined || offset === undefined ? undefined : { epoch, offset };
  }

  /** Publications that wait in it. */
  get waiting(): number {
    return 0;
  }

  /** A connection was resumed without a loss. */
  recovered(_recovered: Recovered): void {}
  state(_state: ChannelState): void {}
  /** The channel is over: with an error, or because the client was closed. */
  abstract end(error?: unknown): void;
  protected abstract take(publication: Publication<unknown>, characters: number): void;
  protected abstract lost(item: Gap | Resync): void;
}

/** What of a gap lies behind an offset of the same epoch, which is before the gap's end. All of it if either is unknown. */
export function gapBehind(gap: Gap, offset: number | undefined): Gap {
  return offset !== undefined && gap.from! <= offset
    ? { ...gap, from: offset + 1, lost: gap.to! - offset }
    : gap;
}
