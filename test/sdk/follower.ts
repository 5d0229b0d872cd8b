import type { Channel, Gap, Item, IterateOptions, Position, Publication } from '@tradewind/client';

/** An item that has a place in an epoch. */
export type OfOffsets = Publication<{ readonly n: number }> | Gap;

/**
 * Reads a channel to its end, and judges what it was given: each offset once and in order, or in exactly one gap; a new epoch only behind
 * a resync.
 */
export class Follower {
  /** What it was given, the latest `keep` of it. */
  readonly items: Item<{ readonly n: number }>[] = [];
  /** Every breach of the promise. */
  readonly faults: string[] = [];
  readonly channel: string;
  error: unknown;
  isOver = false;
  readonly #wake = new Set<() => void>();
  readonly #keep: number;
  protected at: Position | undefined;
  #lastNumber = 0;
  /** What came since the last publication. */
  #between: string[] = [];
  readonly #iterator: AsyncIterableIterator<Item<{ readonly n: number }>>;

  /**
   * @param delayMs the time that it takes for each item.
   * @param keep how many items it keeps.
   */
  constructor(
    channel: Channel<{ readonly n: number }>,
    options: IterateOptions = {},
    delayMs: () => number = () => 0,
    keep = Number.POSITIVE_INFINITY,
  ) {
    this.#keep = keep;
    this.channel = channel.name;
    this.#iterator = channel.items(options);
    void this.#read(delayMs);
  }

  /** Up to where it was given the channel. */
  get position(): Position | undefined {
    return this.at;
  }

  get gaps(): readonly string[] {
    return this.items.flatMap((item) =>
      item.kind === 'gap' ? [`${item.reason} ${item.from}-${item.to}`] : [],
    );
  }

  count(kind: Item<unknown>['kind']): number {
    return this.items.filter((item) => item.kind === kind).length;
  }

  /** Resolves when `check` holds; it is asked after each item. Rejects after `withinMs`. */
  async until(what: string, check: () => boolean, withinMs = 30_000): Promise<void> {
    if (check()) return;
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (!check()) return;
        clearTimeout(timer);
        this.#wake.delete(look);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#wake.delete(look);
        const last = JSON.stringify(this.items.slice(-3));
        reject(
          new Error(
            `not within ${withinMs} ms: ${what}; the last of ${this.items.length}: ${last}`,
          ),
        );
      }, withinMs);
      this.#wake.add(look);
    });
  }

  /** Resolves when it has everything up to a position. */
  async reaches({ epoch, offset }: Position, withinMs?: number): Promise<void> {
    await this.until(
      `${epoch} ${offset}`,
      () => {
        const at = this.position;
        return at?.epoch === epoch && at.offset >= offset;
      },
      withinMs,
    );
  }

  async end(): Promise<void> {
    await this.#iterator.return?.();
  }

  #judge(item: Item<{ readonly n: number }>): void {
    if (item.kind === 'resync') {
      const { epoch, offset, reason } = item;
      this.#between.push(`resync ${reason} ${epoch} ${offset}`);
      this.at = epoch === undefined || offset === undefined ? undefined : { epoch, offset };
      return;
    }
    if (item.kind === 'recovered' || item.epoch === undefined) return;
    const [from, to] = item.kind === 'gap' ? [item.from, item.to] : [item.offset, item.offset];
    if (from === undefined || to === undefined) return;
    const { epoch } = item;
    if (this.at !== undefined && (this.at.epoch !== epoch || !this.follows(item, from))) {
      const { epoch: atEpoch, offset } = this.at;
      this.faults.push(
        `${item.kind} ${epoch} ${from}-${to} behind ${atEpoch} ${offset}: ${JSON.stringify(this.items.slice(-3))}`,
      );
    }
    if (item.kind === 'gap' && item.reason === 'unannounced') {
      this.faults.push(`unannounced ${from}-${to}`);
    }
    if (item.kind === 'publication') {
      const { n } = item.data;
      if (n <= this.#lastNumber) {
        const behind = [this.#lastNumber, ...this.#between].join(', ');
        this.faults.push(`number ${n} (${epoch} ${to}) behind ${behind}`);
      }
      this.#lastNumber = n;
      this.#between = [];
    }
    this.at = { epoch, offset: to };
  }

  /** Whether an item that begins with this offset may come at this place of its epoch. */
  protected follows(_item: OfOffsets, from: number): boolean {
    return from === this.at!.offset + 1;
  }

  async #read(delayMs: () => number): Promise<void> {
    try {
      for await (const item of this.#iterator) {
        this.items.push(item);
        if (this.items.length > this.#keep) this.items.shift();
        this.#judge(item);
        for (const wake of [...this.#wake]) wake();
        const ms = delayMs();
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      }
    } catch (error) {
      this.error = error;
    }
    this.isOver = true;
    for (const wake of [...this.#wake]) wake();
  }
}
