import type { Publication } from '@tradewind/fanout';
import { PendingReads } from '../clients/replay-admission.ts';
import type { HubFeed } from '../hub/hub.ts';

/** What a worker was not told of one channel. */
export class MissedPublications {
  /** The epoch of the offsets; empty while there are none. */
  readonly epoch: string;
  /** Publications without offsets; NaN when nobody knows how many. */
  #plain = 0;
  #from = 0;
  #to = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  /** The first offset, or 0 if none is missing. */
  get from(): number {
    return this.#from;
  }

  /** The last offset, inclusive. */
  get to(): number {
    return this.#to;
  }

  add({ offset }: Pick<Publication, 'offset'>): void {
    if (offset === 0) this.#plain += 1;
    else this.addRange(offset, offset);
  }

  /** Offsets that follow those which are missing already, both inclusive. */
  addRange(from: number, to: number): void {
    this.#from ||= from;
    this.#to = Math.max(this.#to, to);
  }

  /** @param count NaN when nobody knows how many. */
  addPlain(count: number): void {
    this.#plain += count;
  }

  /** Those without offsets, which nobody can fill in; they are counted from 0 again. */
  takePlain(): number {
    const plain = this.#plain;
    this.#plain = 0;
    return plain;
  }

  /** Everything before this offset has been told. */
  toldBefore(offset: number): void {
    this.#from = offset > this.#to ? 0 : offset;
    if (this.#from === 0) this.#to = 0;
  }
}

/** The worker's own question, from this offset on, or what it missed of the channel. */
export type PortQuestion = number | MissedPublications;

/** Asks the hub for a channel's publications. */
export type AskHub = Pick<HubFeed, 'fillIn' | 'readHistory'>;

/** What the hub is yet to be asked about the channels of one worker: one question a channel at a time. */
export class PortQuestions {
  readonly #ask: AskHub;
  /** The worker's own questions that are not answered yet. */
  readonly #own = new Map<string, number>();
  /** Channels to ask about; the first comes first. */
  readonly #waiting = new Set<string>();
  readonly #open = new Map<string, PortQuestion>();
  readonly #answers: PendingReads;

  /** @param bytes what all answers together may take. */
  constructor(ask: AskHub, bytes: number) {
    this.#ask = ask;
    this.#answers = new PendingReads(bytes);
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** The worker asks; see `Feed.readHistory`. */
  addOwn(channel: string, from: number): void {
    this.#own.set(channel, from);
    this.#waiting.add(channel);
  }

  /** There is something to ask about this channel. */
  add(channel: string): void {
    this.#waiting.add(channel);
  }

  /** Puts what may be asked now: about what was missed first, since the worker's own question is about more. */
  put(missed: ReadonlyMap<string, MissedPublications>, freeBytes: number): void {
    for (const channel of this.#waiting) {
      if (!this.#answers.mayBegin(freeBytes)) return;
      if (this.#open.has(channel)) continue;
      this.#waiting.delete(channel);
      const question = missed.get(channel) ?? this.#own.get(channel);
      if (question === undefined) continue;
      this.#open.set(channel, question);
      this.#answers.begin();
      if (typeof question === 'number') this.#ask.readHistory(channel, question);
      else this.#ask.fillIn(channel, question.from);
    }
  }

  /** Takes the question that the hub has answered, with so many bytes. */
  takeAnswered(channel: string, bytes: number): PortQuestion | undefined {
    const question = this.#open.get(channel);
    this.#end(channel, bytes);
    if (typeof question === 'number') this.#own.delete(channel);
    else if (this.#own.has(channel)) this.#waiting.add(channel);
    return question;
  }

  /** The worker no longer has the channel: nothing is answered. */
  forget(channel: string): void {
    this.#own.delete(channel);
    this.#waiting.delete(channel);
    this.#end(channel, undefined);
  }

  #end(channel: string, bytes: number | undefined): void {
    if (this.#open.delete(channel)) this.#answers.end(bytes);
  }
}
