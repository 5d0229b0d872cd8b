import type { LedgerEntry, TradeLedger } from '../trades/trade-ledger.ts';

/** The most missing indexes that are remembered of one channel; further ones are only counted. */
const MAX_HOLES = 10_000;

/** Counts of what one subscriber should have received on its channels, and of what it received. */
export interface DeliveryCounts {
  readonly delivered: number;
  /** Delivered after a later one of the same channel. */
  readonly outOfOrder: number;
  readonly duplicates: number;
  /** Skipped by a later one and not delivered since. */
  readonly missing: number;
}

interface ChannelState {
  /** The first index that has not been passed yet. */
  expected: number;
  readonly holes: Set<number>;
  uncountedHoles: number;
}

/** Compares the deliveries of one subscriber with the ledger, channel by channel, as they arrive. */
export class DeliveryCheck {
  readonly #ledger: TradeLedger;
  readonly #channels = new Map<string, ChannelState>();
  #delivered = 0;
  #outOfOrder = 0;
  #duplicates = 0;

  /** Everything that `ledger` records on `channels` from now on must arrive exactly once and in order. */
  constructor(ledger: TradeLedger, channels: readonly string[]) {
    this.#ledger = ledger;
    for (const channel of channels) {
      const expected = ledger.latest(channel) + 1;
      this.#channels.set(channel, { expected, holes: new Set(), uncountedHoles: 0 });
    }
  }

  /** Records a delivery. */
  take(channel: string, { index }: LedgerEntry): void {
    const state = this.#channels.get(channel);
    if (!state) return;
    if (index >= state.expected) {
      for (let hole = state.expected; hole < index; hole++) this.#noteHole(state, hole);
      state.expected = index + 1;
      this.#delivered += 1;
    } else if (state.holes.delete(index)) {
      this.#outOfOrder += 1;
      this.#delivered += 1;
    } else {
      this.#duplicates += 1;
    }
  }

  counts(): DeliveryCounts {
    let missing = 0;
    for (const [channel, { holes, uncountedHoles }] of this.#channels) {
      missing += uncountedHoles;
      for (const hole of holes) if (!this.#ledger.wasRefused(channel, hole)) missing += 1;
    }
    return {
      delivered: this.#delivered,
      outOfOrder: this.#outOfOrder,
      duplicates: this.#duplicates,
      missing,
    };
  }

  /** How many trades at the end of the channels have not arrived and were not refused: in flight, or lost. */
  pending(): number {
    let pending = 0;
    for (const [channel, { expected }] of this.#channels) {
      const latest = this.#ledger.latest(channel);
      for (let index = expected; index <= latest; index++) {
        if (!this.#ledger.wasRefused(channel, index)) pending += 1;
      }
    }
    return pending;
  }

  #noteHole(state: ChannelState, index: number): void {
    if (state.holes.size < MAX_HOLES) state.holes.add(index);
    else state.uncountedHoles += 1;
  }
}
