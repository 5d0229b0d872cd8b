import type { Position } from '@tradewind/protocol';
import { readMeta } from './channel-meta.ts';

/** One publication of a channel's history. */
export interface HistoryEntry {
  readonly offset: number;
  /** Redis' clock when it was published, in ms since 1970. */
  readonly publishedAt: number;
  /**
   * The caller owns it, and it is never written to again. It may be a view into a larger chunk that was read from the
   * socket: copy what must live long.
   */
  readonly payload: Buffer;
}

/** A channel's position and a part of its history, both of one moment. */
export interface ChannelHistory {
  /** Undefined if nothing sequenced was ever published, or if `meta` is invalid. */
  readonly position: Position | undefined;
  /** In the order of their offsets. Empty if the history has expired or was never kept. */
  readonly publications: readonly HistoryEntry[];
  /** How many entries were read, including those that are no publications. */
  readonly entries: number;
  /** The offset of the last entry; 0 without an entry, NaN if its id is not one of the publish script. */
  readonly last: number;
}

const ENTRY_ID = /^([1-9]\d{0,15})-0$/;
const MILLISECONDS = /^\d{1,16}$/;

/**
 * Parses the value of a `meta`, or its beginning, and the answer to XRANGE of a log. An entry that the publish script did
 * not write is left out and shows as a hole in the offsets.
 */
export function readHistoryReply(meta: unknown, entries: unknown): ChannelHistory {
  const publications: HistoryEntry[] = [];
  const read: readonly unknown[] = Array.isArray(entries) ? entries : [];
  for (const entry of read) {
    const publication = readEntry(entry);
    if (publication !== undefined) publications.push(publication);
  }
  return {
    position: readMeta(Buffer.isBuffer(meta) ? meta.toString('latin1') : null),
    publications,
    entries: read.length,
    last: read.length === 0 ? 0 : offsetOfId((read.at(-1) as [Buffer])[0]),
  };
}

/** Returns the first part of an entry's id; NaN if it is no valid offset. */
function offsetOfId(id: Buffer): number {
  const offset = Number(id.toString('latin1').split('-')[0]);
  return Number.isSafeInteger(offset) ? offset : Number.NaN;
}

function readEntry(entry: unknown): HistoryEntry | undefined {
  const [id, fields] = entry as [Buffer, Buffer[]];
  const [timeName, time, payloadName, payload] = fields;
  const offset = Number(ENTRY_ID.exec(id.toString('latin1'))?.[1]);
  if (!Number.isSafeInteger(offset) || fields.length !== 4 || payload === undefined)
    return undefined;
  if (timeName?.toString() !== 't' || payloadName?.toString() !== 'p') return undefined;
  const milliseconds = time?.toString('latin1') ?? '';
  if (!MILLISECONDS.test(milliseconds)) return undefined;
  return { offset, publishedAt: Number(milliseconds), payload };
}
