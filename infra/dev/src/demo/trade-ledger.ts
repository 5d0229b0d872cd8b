/** Trades of one channel that are remembered by id: over a quarter of an hour at 12 a second. */
const MAX_REMEMBERED = 12_000;

/** A trade's place in the order in which its channel was given to ingest. */
export interface LedgerEntry {
  /** From 1, without holes. */
  readonly index: number;
  /** When it was handed over, by `performance.now()`, in ms. */
  readonly offeredAt: number;
}

interface ChannelLedger {
  readonly entries: Map<string, LedgerEntry>;
  /** Indexes that ingest did not accept: nobody needs to receive them. */
  readonly refused: Set<number>;
  offered: number;
}

/**
 * What was given to ingest, channel by channel: the truth that deliveries are compared with. Ids
 * are forgotten after 12,000 newer ones of their channel.
 */
export class TradeLedger {
  readonly #channels = new Map<string, ChannelLedger>();
  #accepted = 0;
  #refused = 0;

  /** How many ingest has said are published. */
  get accepted(): number {
    return this.#accepted;
  }

  /** How many ingest has not accepted, or given no answer about. */
  get refused(): number {
    return this.#refused;
  }

  /** Notes a trade just before it is handed over. */
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

  /** Notes what became of an offered trade. */
  settle(channel: string, entry: LedgerEntry, accepted: boolean): void {
    if (accepted) {
      this.#accepted += 1;
      return;
    }
    this.#refused += 1;
    const { refused } = this.#ledgerOf(channel);
    if (refused.size < MAX_REMEMBERED) refused.add(entry.index);
  }

  /** The entry of a trade; undefined for somebody else's and for long forgotten ones. */
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
