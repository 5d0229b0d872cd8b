import type { Channel, Item, IterateOptions, Position } from '@tradewind/client';

/**
 * Reads a channel to its end, and judges what it was given: each offset once and in order, or in exactly one gap; a new epoch only behind
 * a resync.
 */
export class Follower {
  readonly items: Item<{ readonly n: number }>[] = [];
  readonly channel: string;
  error: unknown;
  isOver = false;
  readonly #wake = new Set<() => void>();
  readonly #iterator: AsyncIterableIterator<Item<{ readonly n: number }>>;

  /** @param delayMs the time that it takes for each item. */
  constructor(
    channel: Channel<{ readonly n: number }>,
    options: IterateOptions = {},
    delayMs: () => number = () => 0,
  ) {
    this.channel = channel.name;
    this.#iterator = channel.items(options);
    void this.#read(delayMs);
  }

  /** Up to where it was given the channel. */
  get position(): Position | undefined {
    for (let i = this.items.length - 1; i >= 0; i -= 1) {
      const item = this.items[i]!;
      const offset = item.kind === 'gap' ? item.to : item.offset;
      if (offset !== undefined && item.epoch !== undefined) return { epoch: item.epoch, offset };
    }
    return undefined;
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
  async until(what: string, check: () => boolean, withinMs = 20_000): Promise<void> {
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

  /** Every breach of the promise. */
  get faults(): readonly string[] {
    const faults: string[] = [];
    let at: Position | undefined;
    let isNew = false;
    let lastNumber = 0;
    for (const item of this.items) {
      if (item.kind === 'resync') {
        isNew = item.offset === undefined;
        at = isNew ? undefined : { epoch: item.epoch!, offset: item.offset! };
        continue;
      }
      if (item.kind === 'recovered' || item.epoch === undefined) continue;
      const [from, to] = item.kind === 'gap' ? [item.from, item.to] : [item.offset, item.offset];
      if (from === undefined || to === undefined) continue;
      if (at !== undefined && (at.epoch !== item.epoch || from !== at.offset + 1)) {
        faults.push(`${item.kind} ${item.epoch} ${from}-${to} behind ${at.epoch} ${at.offset}`);
      }
      if (item.kind === 'gap' && item.reason === 'unannounced')
        faults.push(`unannounced ${from}-${to}`);
      if (item.kind === 'publication') {
        if (item.data.n <= lastNumber) faults.push(`number ${item.data.n} behind ${lastNumber}`);
        lastNumber = item.data.n;
      }
      at = { epoch: item.epoch, offset: to };
    }
    return faults;
  }

  async end(): Promise<void> {
    await this.#iterator.return?.();
  }

  async #read(delayMs: () => number): Promise<void> {
    try {
      for await (const item of this.#iterator) {
        this.items.push(item);
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
