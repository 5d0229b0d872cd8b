import type { Publication, PublicationLog, Replay } from '@tradewind/fanout';
import type { ErrorCode, Position } from '@tradewind/protocol';

/** Publications that were read from Redis for a replay, and stand in the log a second time or for the first. */
interface Block {
  readonly key: string;
  /** The log's number of its first publication. */
  readonly from: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}

/** Stretches of the log that together hold all offsets from one on; or where they can be had from. */
export type Stretches =
  | { readonly kind: 'held'; readonly stretches: readonly Replay[] }
  /** The node has to be asked for them, from this offset on. */
  | { readonly kind: 'ask'; readonly from: number }
  | { readonly kind: 'gone'; readonly reason: ErrorCode };

/** A block may take up this share of the log at most, or it would push itself out. */
const LARGEST_BLOCK_SHARE = 0.5;

/** What a worker knows of a channel's past: where it stands, and which of its publications the log holds. */
export class ChannelHistory {
  readonly #channel: string;
  readonly #log: PublicationLog;
  #epoch = '';
  #offset = 0;
  /** The log's number from which on its publications of the channel are of this epoch. */
  #since = 0;
  #blocks = 0;
  #block: Block | undefined;
  /** The offset from which the node was last asked for publications. */
  #asked: number | undefined;
  /** What came of it: the first offset that could be had. */
  #oldest = Number.POSITIVE_INFINITY;
  #fault: ErrorCode = 'history_trimmed';

  constructor(channel: string, log: PublicationLog) {
    this.#channel = channel;
    this.#log = log;
  }

  /** Where the channel stands; undefined while it has no history. */
  get position(): Position | undefined {
    return this.#epoch === '' ? undefined : { epoch: this.#epoch, offset: this.#offset };
  }

  /** The channel flows from this position on. */
  begin(position: Position | undefined): void {
    this.#epoch = position?.epoch ?? '';
    this.#offset = position?.offset ?? 0;
    this.#since = this.#log.next;
    this.#block = undefined;
    this.#forgetAnswer();
  }

  /** Everything up to this offset was published, or told as lost. */
  advance(offset: number): void {
    this.#offset = Math.max(this.#offset, offset);
  }

  /** An answer is under way for publications from this offset on. */
  ask(from: number): void {
    this.#asked = from;
    this.#oldest = Number.POSITIVE_INFINITY;
  }

  /** Takes over what the node answered: puts it into the log, under a key of its own. */
  answered(epoch: string, publications: readonly Publication[], code: ErrorCode | undefined): void {
    const [first] = publications;
    this.#fault = code ?? 'history_trimmed';
    if (epoch !== this.#epoch || first === undefined) return;
    const bytes = publications.reduce((sum, one) => sum + this.#log.costOf(one), 0);
    if (bytes > this.#log.maxBytes * LARGEST_BLOCK_SHARE) {
      this.#fault = 'history_too_long';
      return;
    }
    this.#blocks += 1;
    const key = `${this.#channel}\n${this.#blocks}`;
    const from = this.#log.next;
    for (const publication of publications) this.#log.append(publication, key);
    const lastOffset = first.offset + publications.length - 1;
    this.#block = { key, from, firstOffset: first.offset, lastOffset };
    this.#oldest = first.offset;
  }

  /** Nobody waits for the answer any more, or everybody has it: what it could not bring is to be asked for anew. */
  forgetAnswer(): void {
    this.#forgetAnswer();
  }

  /** The first offset that can be had, if it was asked for in vain from an earlier one. */
  get oldestKnown(): number {
    return Math.min(this.#oldest, this.#offset + 1);
  }

  /**
   * Where the publications from this offset up to the present one are.
   *
   * @param from at most one more than the present offset: then there are none.
   */
  stretchesFrom(from: number): Stretches {
    const live = this.#liveFrom(from);
    if (live.firstOffset <= from) return { kind: 'held', stretches: [live] };
    const fromBlock = this.#block === undefined ? undefined : this.#joined(this.#block, from);
    if (fromBlock !== undefined) return { kind: 'held', stretches: fromBlock };
    if (this.#asked === undefined || from < this.#asked) return { kind: 'ask', from };
    return { kind: 'gone', reason: this.#fault };
  }

  /** The latest publications that came on the feed without a hole, back to this offset if there are so many. */
  #liveFrom(from: number): Replay {
    const least = Math.max(this.#since, this.#log.oldest);
    let count = 0;
    let first = this.#log.next;
    let expected = this.#offset;
    while (expected >= from) {
      const number = this.#log.fromEnd(this.#channel, count);
      if (number === undefined || number < least) break;
      if (this.#log.at(number)?.offset !== expected) break;
      first = number;
      expected -= 1;
      count += 1;
    }
    return {
      ...{ key: this.#channel, channel: this.#channel, from: first, count },
      ...{ firstOffset: expected + 1, lastOffset: this.#offset },
    };
  }

  /** The block from this offset on, and what came on the feed behind its last. */
  #joined(block: Block, from: number): readonly Replay[] | undefined {
    const { key, firstOffset, lastOffset } = block;
    const number = block.from + (from - firstOffset);
    if (from < firstOffset || from > lastOffset || number < this.#log.oldest) return undefined;
    const live = this.#liveFrom(lastOffset + 1);
    if (live.firstOffset !== lastOffset + 1) return undefined;
    const count = lastOffset - from + 1;
    const own = { key, channel: this.#channel, from: number, count };
    return [{ ...own, firstOffset: from, lastOffset }, live];
  }

  #forgetAnswer(): void {
    this.#asked = undefined;
    this.#oldest = Number.POSITIVE_INFINITY;
  }
}
