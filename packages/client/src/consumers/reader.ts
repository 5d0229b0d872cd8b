import { SlowConsumerError, TradewindError } from '../errors.ts';
import type {
  Gap,
  Item,
  IterateOptions,
  Position,
  Publication,
  Recovered,
  Resync,
} from '../types.ts';
import { Consumer, type ConsumerOwner } from './consumer.ts';
import { MissedItems } from './missed.ts';

const DEFAULT_BUFFER = 1_024;
const DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024;
const BYTES_PER_CHARACTER = 2;

/** What a gap or a resync counts for in the buffer, in characters: about what its object takes. */
const SMALL_ITEM_CHARACTERS = 64;

/** The most gaps and resyncs that wait for the reader. A channel that is emptied over and over drops the oldest. */
const MOST_OWED = 64;

/** Where an epoch begins for a reader: behind `startsAt`, which is known when its first entry is. */
interface Beginning {
  epoch: string | undefined;
  startsAt: number | undefined;
}

interface Entry {
  readonly item: Item<unknown>;
  readonly characters: number;
  /** The end of the entry before it, which may have been dropped since. */
  readonly follows: number | undefined;
  /** Of a resync: the epoch behind it. */
  readonly beginning: Beginning | undefined;
  /** With `latest`: the publication's. */
  readonly key: string | undefined;
  before: Entry | undefined;
  next: Entry | undefined;
}

interface Waiter {
  resolve(result: IteratorResult<Item<unknown>>): void;
  reject(error: unknown): void;
}

/**
 * An iterator over a channel with a bounded buffer. What the buffer loses is found when the next entry is read, by
 * comparing where it follows with what was read last: so drops of any kind are told exactly, in one gap, and in place.
 */
export class Reader extends Consumer implements AsyncIterableIterator<Item<unknown>> {
  readonly #owner: ConsumerOwner;
  readonly #channel: string;
  readonly #options: IterateOptions;
  /** Whether gaps are items; otherwise they only travel with the next publication. */
  readonly #tellsAll: boolean;
  readonly #missed = new MissedItems();
  /** The queue is a list: entries go at its front, and with `latest` anywhere. */
  #first: Entry | undefined;
  #last: Entry | undefined;
  #size = 0;
  /** With `latest`: the waiting entry of each key. */
  readonly #byKey = new Map<string, Entry>();
  readonly #waiters: Waiter[] = [];
  readonly #owed: (Gap | Resync)[] = [];
  #characters = 0;
  /** The last offset in the queue, and the epoch of its end. */
  #queuedTo: number | undefined;
  #queuedIn: Beginning = { epoch: undefined, startsAt: undefined };
  /** Up to where it was read. */
  #readTo: number | undefined;
  #readIn = this.#queuedIn;
  /** Publications without offsets that were dropped since the last one that was read. */
  #plainDropped = 0;
  #end: { readonly error?: unknown } | undefined;
  #endWait: (() => void) | undefined;

  constructor(owner: ConsumerOwner, channel: string, options: IterateOptions, tellsAll: boolean) {
    super();
    this.#owner = owner;
    this.#channel = channel;
    this.#options = options;
    this.#tellsAll = tellsAll;
    const { signal } = options;
    if (signal === undefined) return;
    const abort = (): void => this.#abort(signal.reason);
    signal.addEventListener('abort', abort);
    this.#endWait = () => signal.removeEventListener('abort', abort);
    if (signal.aborted) abort();
  }

  override start(epoch: string | undefined, offset: number | undefined): void {
    super.start(epoch, offset);
    this.#queuedIn.epoch = epoch;
    this.#queuedIn.startsAt = offset;
    this.#queuedTo = offset;
    this.#readTo = offset;
  }

  override get used(): Position | undefined {
    const { epoch } = this.#readIn;
    const offset = this.#readTo;
    return epoch === undefined || offset === undefined ? undefined : { epoch, offset };
  }

  override get waiting(): number {
    return this.#size;
  }

  get isOver(): boolean {
    return this.#end !== undefined;
  }

  next(): Promise<IteratorResult<Item<unknown>>> {
    const item = this.#pull();
    if (item !== undefined) return Promise.resolve({ value: item, done: false });
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      if (this.#end === undefined) this.#waiters.push(waiter);
      else this.#settle(waiter);
    });
  }

  return(): Promise<IteratorResult<Item<unknown>>> {
    this.#clear();
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  throw(error: unknown): Promise<IteratorResult<Item<unknown>>> {
    void this.return();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** What waits is still read, then the iterator ends, or rejects with the error. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = error === undefined ? {} : { error };
    this.#endWait?.();
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter);
    this.#owner.leave(this);
  }

  override recovered(recovered: Recovered): void {
    if (this.#tellsAll && !this.isPaused) this.#put(recovered, SMALL_ITEM_CHARACTERS);
  }

  protected take(publication: Publication<unknown>, characters: number): void {
    this.#put(publication, characters);
  }

  protected lost(item: Gap | Resync): void {
    this.#put(item, SMALL_ITEM_CHARACTERS);
  }

  #put(item: Item<unknown>, characters: number): void {
    if (this.#end !== undefined) return;
    const { overflow } = this.#options;
    const isPublication = item.kind === 'publication';
    const end = endOf(item);
    if (overflow === 'error' && isPublication && this.#size > 0 && this.#isFull(1, characters)) {
      this.end(new SlowConsumerError(this.#channel, end, end, this.#size));
      return;
    }
    let key: string | undefined;
    if (overflow === 'latest' && isPublication) {
      // What it throws must not reach the other consumers. Where the queue ends is not touched yet: what waits is still read.
      try {
        key = this.#options.key?.(item) ?? '';
      } catch (cause) {
        this.end(new TradewindError('listener_failed', 'A key threw.', false, cause));
        return;
      }
    }
    if (end !== undefined && this.#queuedTo === undefined) {
      this.#queuedTo = (item.kind === 'gap' ? item.from! : end) - 1;
      this.#queuedIn.epoch = item.epoch;
      this.#queuedIn.startsAt = this.#queuedTo;
    }
    const follows = this.#queuedTo;
    let beginning: Beginning | undefined;
    if (item.kind === 'resync') {
      beginning = { epoch: item.epoch, startsAt: item.offset };
      this.#queuedIn = beginning;
      this.#queuedTo = item.offset;
    } else if (end !== undefined) this.#queuedTo = end;
    if (key !== undefined) this.#drop(this.#byKey.get(key));
    const before = this.#last;
    this.#append({ item, characters, follows, beginning, key, before, next: undefined });
    if (overflow !== 'pause' || (isPublication && end === undefined)) this.#bound();
    else if (this.#waiters.length === 0) this.isPaused ||= this.#isFull(1);
    while (this.#waiters.length > 0) {
      const next = this.#pull();
      if (next === undefined) break;
      this.#waiters.shift()!.resolve({ value: next, done: false });
    }
  }

  #append(entry: Entry): void {
    const { key, before } = entry;
    if (key !== undefined) this.#byKey.set(key, entry);
    if (before === undefined) this.#first = entry;
    else before.next = entry;
    this.#last = entry;
    this.#size += 1;
    this.#characters += entry.characters;
  }

  #remove(entry: Entry): void {
    const { key, before, next } = entry;
    if (key !== undefined) this.#byKey.delete(key);
    if (before === undefined) this.#first = next;
    else before.next = next;
    if (next === undefined) this.#last = before;
    else next.before = before;
    // An old entry would keep all that came behind it from the garbage collector's quick rounds.
    entry.next = undefined;
    this.#size -= 1;
    this.#characters -= entry.characters;
  }

  /** Whether this many entries and characters more would be too much. */
  #isFull(entries: number, characters = 0): boolean {
    const { buffer = DEFAULT_BUFFER, bufferBytes = DEFAULT_BUFFER_BYTES } = this.#options;
    const bytes = (this.#characters + characters) * BYTES_PER_CHARACTER;
    return this.#size + entries > buffer || bytes > bufferBytes;
  }

  /** Keeps the buffer within its bounds. One entry always has room, however large it is. */
  #bound(): void {
    while (this.#size > 1 && this.#isFull(0)) this.#drop(this.#first);
  }

  #drop(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#remove(entry);
    const { item, beginning } = entry;
    if (item.kind === 'publication' && item.offset === undefined) this.#plainDropped += 1;
    if (item.kind === 'gap' && item.to === undefined) this.#owe(item);
    if (item.kind === 'resync') {
      this.#oweHole(entry.follows);
      this.#owe(item);
      this.#readIn = beginning!;
      this.#readTo = item.offset;
    }
  }

  /** The next item in order; undefined if none waits. */
  #pull(): Item<unknown> | undefined {
    for (;;) {
      const owed = this.#owed.shift();
      if (owed !== undefined) {
        this.#missed.add(owed);
        if (this.#tellsAll) return owed;
        continue;
      }
      const entry = this.#first;
      if (entry === undefined) return undefined;
      if (this.#oweHole(entry.follows)) continue;
      this.#remove(entry);
      const { item, beginning } = entry;
      const end = endOf(item);
      if (end !== undefined) this.#readTo = end;
      if (item.kind === 'resync') {
        this.#readIn = beginning!;
        this.#readTo = item.offset;
      }
      if (this.isPaused) this.#continueWhenHalfEmpty();
      if (item.kind === 'publication') {
        const missed = this.#missed.take();
        return missed ? { ...item, missed } : item;
      }
      if (item.kind !== 'recovered') this.#missed.add(item);
      if (this.#tellsAll) return item;
    }
  }

  /** Queues the gap between the last entry read and the next one. Returns whether there is one. */
  #oweHole(follows: number | undefined): boolean {
    if (this.#plainDropped > 0) {
      const lost = this.#plainDropped;
      this.#plainDropped = 0;
      this.#owe({ kind: 'gap', channel: this.#channel, lost, reason: 'overflow' });
      return true;
    }
    const { epoch, startsAt } = this.#readIn;
    const readTo = this.#readTo ?? startsAt;
    if (follows === undefined || readTo === undefined || follows <= readTo) return false;
    this.#readTo = follows;
    this.#owe({
      kind: 'gap',
      channel: this.#channel,
      ...(epoch !== undefined && { epoch }),
      from: readTo + 1,
      to: follows,
      lost: follows - readTo,
      reason: 'overflow',
    });
    return true;
  }

  #owe(item: Gap | Resync): void {
    this.#owed.push(item);
    if (this.#owed.length > MOST_OWED) this.#owed.shift();
  }

  #continueWhenHalfEmpty(): void {
    const { buffer = DEFAULT_BUFFER, bufferBytes = DEFAULT_BUFFER_BYTES } = this.#options;
    if (this.wantsBack || this.#end !== undefined) return;
    const bytes = this.#characters * BYTES_PER_CHARACTER;
    if (this.#size > buffer / 2 || bytes > bufferBytes / 2) return;
    this.wantsBack = true;
    this.#owner.continueAgain();
  }

  #settle({ resolve, reject }: Waiter): void {
    const { error } = this.#end!;
    if (error === undefined) resolve({ value: undefined, done: true });
    else {
      // Only the first waiter gets the error. A later `next()` must end as every finished iterator does.
      this.#end = {};
      reject(error);
    }
  }

  #abort(reason: unknown): void {
    this.#clear();
    this.end(reason);
  }

  #clear(): void {
    this.#first = undefined;
    this.#last = undefined;
    this.#byKey.clear();
    this.#size = 0;
    this.#owed.length = 0;
    this.#characters = 0;
    this.#plainDropped = 0;
  }
}

/** The last offset of an item; undefined for what has none. */
function endOf(item: Item<unknown>): number | undefined {
  return item.kind === 'gap' ? item.to : item.kind === 'publication' ? item.offset : undefined;
}
