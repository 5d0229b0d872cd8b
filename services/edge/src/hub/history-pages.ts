import type { Position } from '@tradewind/protocol';
import type { HistoryPage } from '../sequence/message.ts';
import type { Archive } from './recovery.ts';

/**
 * Entries of one page at most. How large they are shows only when they are there: after entries that are small a page
 * brings 128 of the largest publications at the worst, which is 8 MiB.
 */
const MOST_ENTRIES = 128;

/** The first page of a read has one entry, and each further one so many times as many as the one before at most. */
const PAGE_GROWTH = 8;

/** What a page is to bring at most, in bytes, by the largest entry that was read before: some ms of Redis' link. */
const PAGE_BYTES = 512 * 1024;

/** What an entry takes up besides its payload, in bytes, as workers count it. */
const ENTRY_BYTES = 256;

/** What one read may keep in memory, in bytes: as much as 1,000 of the largest ordinary publications. */
const READ_BYTES = 64 * 1024 * 1024;

/** One read of the past may bring so many times what may be replayed: what cannot be delivered is read, too. */
const READ_SHARE = 4;

/** What may be replayed of one channel. */
export interface ReplayBounds {
  /** Of all publications together, in bytes, bookkeeping included. */
  readonly maxReplayBytes: number;
  /** Of one publication; what is larger is not replayed. */
  readonly maxPublicationBytes: number;
}

/** What was read of a channel's past, back from one offset. */
export interface PastPage extends HistoryPage {
  /**
   * The first offset from which on all may be replayed: there is more before it, and that is too much. Undefined if
   * it is not.
   */
  readonly tooLongBefore: number | undefined;
  /** What Redis sent for it, in bytes. */
  readonly bytes: number;
}

/**
 * Reads of history in pages, whose sizes follow what was found: nobody can tell beforehand how large an entry is,
 * and one that is larger than all others must not be read many at a time.
 */
export class HistoryPages {
  readonly #archive: Pick<Archive, 'readHistory'>;
  readonly #bounds: ReplayBounds;
  readonly #read: (bytes: number) => void;

  /** @param read told of each page, how many bytes Redis has sent for it. */
  constructor(
    archive: Pick<Archive, 'readHistory'>,
    bounds: ReplayBounds,
    read: (bytes: number) => void,
  ) {
    this.#archive = archive;
    this.#bounds = bounds;
    this.#read = read;
  }

  /**
   * Reads up to `limit` entries from an offset on, inclusive. Rejects as the archive does. A new epoch that begins
   * meanwhile voids the read: then it is empty, with the new position.
   */
  async forward(channel: string, from: number, limit: number): Promise<HistoryPage> {
    const publications: HistoryPage['publications'][number][] = [];
    const size = new PageSize();
    let bytes = 0;
    let entries = 0;
    let next = from;
    let epoch: string | undefined;
    for (;;) {
      const count = Math.min(size.count, limit - entries);
      const page = await this.#archive.readHistory(channel, next, count);
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
   * Reads what history holds from one offset to another, both inclusive, the latest first, for as long as it may be
   * replayed; and one entry before it, which shows that history reaches back so far. Rejects as the archive does. If the
   * channel is in another epoch, or has not come so far, the read is void: it is empty, with the position.
   *
   * @param until where the channel is known to be.
   */
  async back(channel: string, from: number, until: Position): Promise<PastPage> {
    const { maxReplayBytes, maxPublicationBytes } = this.#bounds;
    const pages: HistoryPage['publications'][] = [];
    const size = new PageSize();
    const earliest = Math.max(1, from - 1);
    let replayBytes = 0;
    let bytes = 0;
    let to = until.offset;
    do {
      const least = Math.max(earliest, to - size.count + 1);
      const page = await this.#archive.readHistory(channel, least, size.count, to);
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
          return { position: until, bytes, ...behind(offset + 1, pages.flat()) };
      }
      if (bytes > maxReplayBytes * READ_SHARE && least > earliest)
        return { position: until, bytes, ...behind(least, pages.flat()) };
      to = least - 1;
      const mayBeOver = publications.length === 0 && to >= earliest;
      if (mayBeOver && !(await this.#hasAny(channel, earliest, to))) break;
    } while (to >= earliest);
    return { position: until, publications: pages.flat(), tooLongBefore: undefined, bytes };
  }

  /** Whether history holds anything from one offset to another. */
  async #hasAny(channel: string, from: number, to: number): Promise<boolean> {
    const { publications, entries } = await this.#archive.readHistory(channel, from, 1, to);
    for (const { payload } of publications) this.#read(payload.length + ENTRY_BYTES);
    return (entries ?? publications.length) > 0;
  }

  #measure({ publications }: HistoryPage, size: PageSize): number {
    let bytes = 0;
    let largest = 0;
    for (const { payload } of publications) {
      bytes += payload.length + ENTRY_BYTES;
      largest = Math.max(largest, payload.length);
    }
    size.found(largest);
    this.#read(bytes);
    return bytes;
  }
}

/** How many entries the next page has. */
class PageSize {
  #count = 1;
  #largest = 1;

  get count(): number {
    return this.#count;
  }

  /** @param largest of the entries of the page that was read, in bytes. */
  found(largest: number): void {
    this.#largest = Math.max(this.#largest, largest);
    const fitting = Math.max(1, Math.floor(PAGE_BYTES / this.#largest));
    this.#count = Math.min(this.#count * PAGE_GROWTH, MOST_ENTRIES, fitting);
  }
}

/** What is left when what lies before an offset is too much. */
function behind(tooLongBefore: number, publications: HistoryPage['publications']) {
  return {
    publications: publications.filter(({ offset }) => offset >= tooLongBefore),
    tooLongBefore,
  };
}
