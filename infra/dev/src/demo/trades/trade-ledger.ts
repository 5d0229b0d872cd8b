/** Trades of one channel that are remembered by id: over a quarter of an hour at 12 a second. */
const MAX_REMEMBERED = 12_000;

/** The position of a trade among those of its channel that were sent to ingest. */
export interface LedgerEntry {
  /** From 1, without holes. */
  readonly index: number;
  /** When it was sent, by `performance.now()`, in ms. */
  readonly offeredAt: number;
}

interface ChannelLedger {
  readonly entries: Map<string, LedgerEntry>;
  /** Indexes that ingest did not accept: nobody needs to receive them. */
  readonly refused: Set<number>;
  offered: number;
}

/**
 * The trades that were sent to ingest, channel by channel. Deliveries are compared with it. It forgets an id after 12,000
 * newer ones of its channel.
 */
export class TradeLedger {
  readonly #channels = new Map<string, ChannelLedger>();
  #accepted = 0;
  #refused = 0;

  /** How many trades ingest has acknowledged. */
  get accepted(): number {
    return this.#accepted;
  }

  /** How many trades ingest has refused or not answered. */
  get refused(): number {
    return this.#refused;
  }

  /** Records a trade just before it is sent. */
  offer(channel: string, id: string, now: number): LedgerEntry {
    const ledger = this.#ledgerOf(channel);
    ledger.offered += 1;
    const entry = { index: ledger.offered, offeredAt: now };
    ledger.entries.set(id, entry);
    if (ledger.entries.size > MAX_REMEMBERED) {
      for (const oldest of ledger.entries.keys()) {
        ledger.entries.delete(oldest);
        break;
      }
    }
    return entry;
  }

  /** Records the result of a trade that was sent. */
  settle(channel: string, entry: LedgerEntry, accepted: boolean): void {
    if (accepted) {
      this.#accepted += 1;
      return;
    }
    this.#refused += 1;
    const { refused } = this.#ledgerOf(channel);
    if (refused.size < MAX_REMEMBERED) refused.add(entry.index);
  }

  /** Returns the entry of a trade; undefined for one of another publisher, and for a forgotten one. */
  find(channel: string, id: string): LedgerEntry | undefined {
    return this.#channels.get(channel)?.entries.get(id);
  }

  /** The index of the channel's latest trade; 0 before the first. */
  latest(channel: string): number {
    return this.#channels.get(channel)?.offered ?? 0;
  }

  /** Whether the trade at `index` was not accepted, so that nobody has to receive it. */
  wasRefused(channel: string, index: number): boolean {
    return this.#channels.get(channel)?.refused.has(index) ?? false;
  }

  #ledgerOf(channel: string): ChannelLedger {
    let ledger = this.#channels.get(channel);
    if (!ledger) {
      ledger = { entries: new Map(), refused: new Set(), offered: 0 };
      this.#channels.set(channel, ledger);
    }
    return ledger;
  }
}
