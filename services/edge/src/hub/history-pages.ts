import type { Position } from '@tradewind/protocol';
import type { HistoryPage } from '../sequence/message.ts';
import type { ChannelStore } from './channel-store.ts';

/**
 * The most entries of one page. Their size is known only after the read: at worst, a page after small entries has 128 of the
 * largest publications, which is 8 MiB.
 */
const MOST_ENTRIES = 128;

/** The most by which the number of entries grows from one page to the next. The first page of a read has one entry. */
const PAGE_GROWTH = 8;

/** The target size of a page, in bytes, if its entries are no larger than those before: some ms of the link to Redis. */
const PAGE_BYTES = 512 * 1024;

/** The memory that an entry takes besides its payload, in bytes, as workers count it. */
const ENTRY_BYTES = 256;

/** The memory that one read may take, in bytes: as much as 1,000 of the largest ordinary publications. */
const READ_BYTES = 64 * 1024 * 1024;

/** A read backwards may return this many times the bytes that may be replayed, because it also reads what cannot be delivered. */
const READ_SHARE = 4;

/** How much may be replayed of one channel. */
export interface ReplayBounds {
  /** The most bytes of all publications together, bookkeeping included. */
  readonly maxReplayBytes: number;
  /** The largest payload that is replayed, in bytes. */
  readonly maxPublicationBytes: number;
}

/** A part of a channel's past, read backwards from one offset. */
export interface ReplayPage extends HistoryPage {
  /**
   * The first offset that may be replayed, if not all that was requested may be; undefined if all may.
   */
  readonly tooLongBefore: number | undefined;
  /** The bytes that Redis sent for it. */
  readonly bytes: number;
}

/**
 * Reads history in pages. The size of an entry is unknown before it is read, so the number of entries of a page follows the sizes
 * so far: large entries must not be read many at a time.
 */
export class HistoryPages {
  readonly #store: Pick<ChannelStore, 'readHistory'>;
  readonly #bounds: ReplayBounds;
  readonly #charge: (bytes: number) => void;

  /** @param charge called with the bytes that Redis sent for each page. */
  constructor(
    store: Pick<ChannelStore, 'readHistory'>,
    bounds: ReplayBounds,
    charge: (bytes: number) => void,
  ) {
    this.#store = store;
    this.#bounds = bounds;
    this.#charge = charge;
  }

  /**
   * Reads up to `limit` entries from an offset on, inclusive. Rejects as the store does. If a new epoch begins meanwhile,
   * the page is empty and has the new position.
   */
  async readForward(channel: string, from: number, limit: number): Promise<HistoryPage> {
    const publications: HistoryPage['publications'][number][] = [];
    const size = new PageSize();
    let bytes = 0;
    let entries = 0;
    let next = from;
    let epoch: string | undefined;
    for (;;) {
      const count = Math.min(size.count, limit - entries);
      const page = await this.#store.readHistory(channel, next, count);
      const { position } = page;
      if (entries > 0 && position?.epoch !== epoch) return { position, publications: [] };
      epoch = position?.epoch;
      bytes += this.#measure(page, size);
      const read = page.entries ?? page.publications.length;
      const last = page.last ?? page.publications.at(-1)?.offset ?? next;
      entries += read;
      publications.push(...page.publications);
      next = last + 1;
      const isEnd = read < count || last >= (position?.offset ?? 0);
      const isWhole = isEnd || !Number.isSafeInteger(next);
      if (isWhole || entries >= limit || bytes >= READ_BYTES)
        return { position, publications, isWhole };
    }
  }

  /**
   * Reads from one offset to another, both inclusive, the latest entries first, until no more may be replayed. It also
   * reads one entry before the first offset, which shows that history begins no later. Rejects as the store does. If
   * the channel is in another epoch, or has not reached `until`, the page is empty and has the position.
   *
   * @param until the latest known position of the channel.
   */
  async readBack(channel: string, from: number, until: Position): Promise<ReplayPage> {
    const { maxReplayBytes, maxPublicationBytes } = this.#bounds;
    const pages: HistoryPage['publications'][] = [];
    const size = new PageSize();
    const earliest = Math.max(1, from - 1);
    let replayBytes = 0;
    let bytes = 0;
    let to = until.offset;
    do {
      const least = Math.max(earliest, to - size.count + 1);
      const page = await this.#store.readHistory(channel, least, size.count, to);
      const { position, publications } = page;
      bytes += this.#measure(page, size);
      if (position?.epoch !== until.epoch || position.offset < until.offset)
        return { position, publications: [], tooLongBefore: undefined, bytes, isWhole: false };
      pages.unshift(publications);
      for (let at = publications.length - 1; at >= 0; at -= 1) {
        const { offset, payload } = publications[at]!;
        if (offset < from || payload.length > maxPublicationBytes) continue;
        replayBytes += payload.length + ENTRY_BYTES;
        if (replayBytes > maxReplayBytes)
          return { position: until, bytes, ...cutBefore(offset + 1, pages.flat()) };
      }
      if (bytes > maxReplayBytes * READ_SHARE && least > earliest)
        return { position: until, bytes, ...cutBefore(least, pages.flat()) };
      to = least - 1;
      const mayBeOver = publications.length === 0 && to >= earliest;
      if (mayBeOver && !(await this.#hasAny(channel, earliest, to))) break;
    } while (to >= earliest);
    return { position: until, publications: pages.flat(), tooLongBefore: undefined, bytes };
  }

  /** Whether history holds anything from one offset to another. */
  async #hasAny(channel: string, from: number, to: number): Promise<boolean> {
    const { publications, entries } = await this.#store.readHistory(channel, from, 1, to);
    for (const { payload } of publications) this.#charge(payload.length + ENTRY_BYTES);
    return (entries ?? publications.length) > 0;
  }

  #measure({ publications }: HistoryPage, size: PageSize): number {
    let bytes = 0;
    let largest = 0;
    for (const { payload } of publications) {
      bytes += payload.length + ENTRY_BYTES;
      largest = Math.max(largest, payload.length);
    }
    size.adjust(largest);
    this.#charge(bytes);
    return bytes;
  }
}

/** Chooses the number of entries of the next page. */
class PageSize {
  #count = 1;
  #largest = 1;

  /** How many entries the next page must have at most. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adapts the number of entries to a page that was read.
   *
   * @param largest the largest payload of the page, in bytes.
   */
  adjust(largest: number): void {
    this.#largest = Math.max(this.#largest, largest);
    const fitting = Math.max(1, Math.floor(PAGE_BYTES / this.#largest));
    this.#count = Math.min(this.#count * PAGE_GROWTH, MOST_ENTRIES, fitting);
  }
}

/** The publications that may be replayed if those before an offset are too much. */
function cutBefore(tooLongBefore: number, publications: HistoryPage['publications']) {
  return {
    publications: publications.filter(({ offset }) => offset >= tooLongBefore),
    tooLongBefore,
  };
}
