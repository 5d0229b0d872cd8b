import type { GapReason, Position } from '@tradewind/protocol';
import { HistoryCursor } from './history-cursor.ts';
import { ChannelPassage } from './in-order-output.ts';
import type { Arrival, HistoryEntry, HistoryPage } from './message.ts';
import type { SequenceOutput } from './sequence-output.ts';
import type { PendingLimits } from './waiting-messages.ts';

/**
 * What a sequence waits for:
 * - `link`: the subscription, which was lost;
 * - `position`: the channel's `meta`, read over the subscription's own connection;
 * - `history`: a page of its log, from {@link ChannelSequence.historyFrom} on;
 * - `epoch`: a new epoch, because Redis lost what it had told: see {@link ChannelSequence.lostEpoch}.
 */
export type SequenceNeed = 'nothing' | 'link' | 'position' | 'history' | 'epoch';

export interface SequenceLimits {
  /** What of one channel may wait for a read. */
  readonly pending: PendingLimits;
  /** Publications that a page of history holds at most; 0: holes are told, not repaired. */
  readonly page: number;
}

/**
 * What is known of a channel:
 * - `new`: nothing yet;
 * - `unborn`: it has no `meta`, so that whatever comes is new, from offset 1 on;
 * - `blind`: this node may not read where it stands: it flows without offsets;
 * - `known`: its epoch and offset;
 * - `void`: what was known does not hold any more, and whatever Redis has is taken over.
 */
type Standing = 'new' | 'unborn' | 'blind' | 'known' | 'void';

/** A question about the position, and what was true already when it was put. */
interface Question {
  readonly offset: number;
  /** ms since the Unix epoch. */
  readonly askedAt: number;
}

/** A position that was told, and when it was asked for, in ms since the Unix epoch. */
interface KnownPosition extends Position {
  readonly askedAt: number;
}

/** Epochs that are known to be over: as many failovers as may follow each other and lose the one before. */
const EPOCHS_KEPT = 4;

/**
 * The order of one channel, as one node passes it on: which offset is next, and what to do when it does
 * not come. Pure bookkeeping: it reads nothing itself and has no clock. Its owner looks at {@link need}
 * after each call and brings what it says.
 *
 * A header is believed: whoever may PUBLISH on a channel speaks for it. The next offset of the known epoch is passed
 * on in the call that brings it. A message that does not follow waits until `meta` was read. `meta` is read on the
 * connection that carries the subscription, so everything that was published before the read has arrived before its
 * answer: an offset that is missing then was lost, and a message that is beyond the answer is rejected. History is
 * read on another connection and may be ahead. It is used up to what `meta` told, since the rest is still to arrive.
 */
export class ChannelSequence {
  readonly #limits: SequenceLimits;
  readonly #output: SequenceOutput;
  readonly #passage: ChannelPassage;
  #need: SequenceNeed = 'position';
  #standing: Standing = 'new';
  /** Whether nothing may be passed on until a read has come. */
  #isHalted = true;
  /** How things stood when the position was asked for; undefined when no answer is awaited that could count. */
  #question: Question | undefined;
  /** Whether a publication without offset has ever come. */
  #hasPlain = false;
  /** Whether history has to show our last publication: Redis may have lost it and gone on without it. */
  #mustCompare = false;
  /** Whether history is to be read for the sake of a suspicion. */
  #mayCompare = false;
  /** Epochs that were left, the latest last: who comes back to one gives out its offsets again. */
  #left: readonly string[] = [];
  /** Where the epoch is that is to be switched to, and when that was asked. */
  #next: KnownPosition | undefined;
  #lostEpoch: string | undefined;

  constructor(limits: SequenceLimits, output: SequenceOutput) {
    this.#limits = limits;
    this.#output = output;
    this.#passage = new ChannelPassage(limits.pending, output);
  }

  get need(): SequenceNeed {
    return this.#need;
  }

  /** The channel's epoch; empty while it has no history. */
  get epoch(): string {
    return this.#passage.epoch;
  }

  /** Up to where everything was passed on or told as lost; undefined while the channel has no history. */
  get position(): Position | undefined {
    const { epoch, offset } = this.#passage;
    return epoch === '' ? undefined : { epoch, offset };
  }

  /** The first offset that is needed, inclusive, while {@link need} is `history`. */
  get historyFrom(): number {
    if (this.#next !== undefined) return Math.max(1, this.#next.offset - this.#limits.page + 1);
    const { offset, suspectedAt } = this.#passage;
    return suspectedAt ?? (this.#mustCompare ? offset : offset + 1);
  }

  /** Whether {@link compare} has something to look into. Anyone can forge a suspicion. */
  get isSuspicious(): boolean {
    return this.#passage.suspectedAt !== undefined;
  }

  /** The epoch that is to be replaced while {@link need} is `epoch`; undefined if `meta` is missing. */
  get lostEpoch(): string | undefined {
    return this.#lostEpoch;
  }

  /** Messages that wait. */
  get pending(): number {
    return this.#passage.pending.length;
  }

  /** A message of the channel arrived. Its payload may be a view; it is kept only while it waits. */
  receive(arrival: Arrival): void {
    if (arrival.offset === 0) this.#hasPlain = true;
    if (!this.#isHalted && this.pending === 0 && this.#passage.pass(arrival)) return;
    this.check();
    this.#passage.pending.hold(arrival);
  }

  /** The end of the channel is to be looked at: is what came last really the last? */
  check(): void {
    if (this.#need === 'nothing') this.#need = 'position';
  }

  /** A suspicion is to be looked into. Not to be called as soon as there is one: it costs a read, and a halt. */
  compare(): void {
    if (!this.isSuspicious) return;
    this.#mayCompare = true;
    this.check();
  }

  /** The subscription is lost; what comes before {@link relinked} waits. */
  unlinked(): void {
    this.#need = 'link';
    this.#isHalted = true;
    this.#question = undefined;
    this.#next = undefined;
    this.#passage.pending.clear();
  }

  /**
   * The subscription is there again, after it was lost.
   *
   * @param sameServer whether the server is the same, with the same data, as before. If it once was not,
   * our last publication is compared, however often the link is lost again before that is done.
   */
  relinked(sameServer: boolean): void {
    if (!sameServer) {
      if (this.#passage.offset > 0) this.#mustCompare = true;
      if (this.#standing === 'unborn') this.#standing = 'void';
    }
    this.#need = 'position';
    if (this.epoch !== '' && !this.#hasPlain) return;
    this.#passage.pending.takeDroppedPlain();
    this.#output.lostPlain();
  }

  /**
   * The position is being asked for now. Returns whether the answer can count: whether it is needed.
   *
   * @param now ms since the Unix epoch.
   */
  askedPosition(now: number): boolean {
    if (this.#need !== 'position') return false;
    this.#passage.pending.ask();
    this.#question = { offset: this.#passage.offset, askedAt: now };
    return true;
  }

  /**
   * The position that was asked for; undefined when the channel has no `meta`. Returns whether it counts:
   * it does not when something else has come to be needed since the question.
   */
  positionRead(position: Position | undefined): boolean {
    const question = this.#takeQuestion();
    if (question === undefined) return false;
    if (this.#standing === 'new') this.#begin(position, question, 'unborn');
    else if (this.#standing !== 'known') this.#takeOver(position, question);
    else if (position === undefined) this.#loseEpoch(undefined);
    else if (this.#wentBack(position, question)) this.#loseEpoch(position.epoch);
    else if (position.epoch !== this.epoch) this.#switchTo(position, question);
    else this.#follow(position.offset);
    return true;
  }

  /**
   * The position that was asked for may not be read. Returns whether the channel can do without offsets:
   * it can while it has told none.
   */
  positionRefused(): boolean {
    if (this.epoch !== '') return false;
    const question = this.#takeQuestion();
    if (question === undefined) return true;
    if (this.#standing === 'new') {
      this.#begin(undefined, question, 'blind');
    } else {
      this.#stand('blind');
      this.#flow();
    }
    return true;
  }

  /**
   * A page of history, which was read after {@link need} became `history`. Returns whether it is of any
   * use: not if it shows less than the position did. Then it is of another server, or of an older time,
   * and the position is to be asked for anew.
   */
  historyRead({ position, publications, isWhole }: HistoryPage): boolean {
    if (this.#need !== 'history') return true;
    const known = this.#next ?? { epoch: this.epoch, offset: this.#passage.tail };
    if (position?.epoch !== known.epoch || position.offset < known.offset) {
      this.#next = undefined;
      this.#need = 'position';
      return false;
    }
    const last = publications.at(-1)?.offset ?? 0;
    const isAll = (isWhole ?? publications.length < this.#limits.page) || last >= known.offset;
    const until = isAll ? known.offset : last;
    const held = publications.filter(({ offset }) => offset <= until);
    if (this.#next !== undefined) this.#enter(this.#next, held, 'trimmed');
    else if (this.#isRefuted(held, until)) this.#loseEpoch(this.epoch);
    else if (this.#mustCompare) this.#await('history');
    else this.#repair(new HistoryCursor(held, until, 'trimmed'));
    return true;
  }

  /** The history cannot be had: what is missing is told, and what had to be shown is not. */
  historyUnavailable(): void {
    if (this.#need !== 'history') return;
    this.#passage.suspectedAt = undefined;
    if (this.#next !== undefined) this.#enter(this.#next, [], 'link');
    else if (this.#mustCompare) this.#loseEpoch(this.epoch);
    else this.#repair(new HistoryCursor([], this.#passage.tail, 'link'));
  }

  /** A new epoch was begun, by us or by another node: a look at the position shows what has come of it. */
  epochStarted(): void {
    if (this.#need === 'epoch') this.#need = 'position';
  }

  /** No new epoch can be begun: the channel goes on where Redis has it, and a loss of unknown size is told. */
  epochRefused(): void {
    if (this.#need !== 'epoch') return;
    this.#stand('void');
    this.#need = 'position';
    this.#output.lostPlain();
  }

  #takeQuestion(): Question | undefined {
    const question = this.#question;
    this.#question = undefined;
    if (this.#need !== 'position' || question === undefined) return undefined;
    this.#passage.pending.answer();
    return question;
  }

  #stand(standing: Standing): void {
    this.#standing = standing;
    this.#passage.isBlind = standing === 'blind';
  }

  #begin(position: Position | undefined, { askedAt }: Question, otherwise: Standing): void {
    this.#stand(position === undefined ? otherwise : 'known');
    this.#passage.passedOn.begin(askedAt);
    if (position !== undefined) this.#passage.moveTo(position);
    this.#output.ready();
    this.#flow();
  }

  /** Goes on where Redis has the channel, of which no position here holds. */
  #takeOver(position: Position | undefined, question: Question): void {
    if (position === undefined) {
      this.#enterEpoch({ epoch: '', offset: 0 }, 'unborn');
      this.#flow();
    } else if (this.#standing === 'void') {
      this.#switchTo(position, question);
    } else if (this.#standing === 'blind') {
      this.#enter({ ...position, askedAt: question.askedAt }, [], 'link');
    } else {
      this.#enterEpoch({ epoch: position.epoch, offset: 0 }, 'known');
      this.#follow(position.offset);
    }
  }

  #wentBack({ epoch, offset }: Position, question: Question): boolean {
    return epoch === this.epoch ? offset < question.offset : this.#left.includes(epoch);
  }

  /** `meta` has confirmed the epoch up to here. */
  #follow(tail: number): void {
    this.#passage.tail = Math.max(this.#passage.offset, tail);
    const isDue = this.#mayCompare && this.isSuspicious;
    this.#mayCompare = false;
    if (this.#mustCompare || isDue) this.#await('history');
    else this.#flow();
  }

  #loseEpoch(found: string | undefined): void {
    this.#lostEpoch = found;
    this.#await('epoch');
  }

  #switchTo(position: Position, { askedAt }: Question): void {
    this.#next = { ...position, askedAt };
    this.#await('history');
  }

  #await(need: 'history' | 'epoch'): void {
    this.#isHalted = true;
    this.#need = need;
    if (need === 'history' && this.#limits.page === 0) this.historyUnavailable();
  }

  /** Whether Redis holds something else in the place of what was passed on, or does not hold what it must. */
  #isRefuted(held: readonly HistoryEntry[], until: number): boolean {
    if (!this.#mustCompare && !this.isSuspicious) return false;
    const { offset, passedOn } = this.#passage;
    this.#passage.suspectedAt = undefined;
    const ours = held.filter((one) => one.offset <= offset);
    if (ours.some((one) => passedOn.differsFrom(one))) return true;
    if (ours.at(-1)?.offset === offset) this.#mustCompare = false;
    return this.#mustCompare && until >= offset;
  }

  /** Enters a new epoch with those of its publications that nobody here can have had under the old one. */
  #enter(next: KnownPosition, held: readonly HistoryEntry[], reason: GapReason): void {
    // Of what waits, something may have been published before it took over.
    this.#passage.pending.renew([this.epoch, this.#lostEpoch], next.epoch);
    const offset = this.#passage.startOf(next, held);
    this.#passage.passedOn.begin(
      next.askedAt,
      held.filter((one) => one.offset <= offset),
    );
    this.#enterEpoch({ epoch: next.epoch, offset }, 'known');
    this.#passage.tail = next.offset;
    this.#repair(new HistoryCursor(held, next.offset, reason));
  }

  #enterEpoch(position: Position, standing: Standing): void {
    this.#left = [...this.#left.filter((epoch) => epoch !== this.epoch), this.epoch].slice(
      -EPOCHS_KEPT,
    );
    this.#next = undefined;
    this.#lostEpoch = undefined;
    this.#mustCompare = false;
    this.#passage.suspectedAt = undefined;
    this.#stand(standing);
    this.#passage.moveTo(position);
    if (standing === 'known') this.#output.resync(position);
  }

  /** Passes on what history holds and what waits; then goes on. */
  #repair(past: HistoryCursor): void {
    this.#passage.repair(past);
    this.#flow();
  }

  /** Passes on what waits, as far as it follows without a hole, and looks what is needed to go on. */
  #flow(): void {
    this.#isHalted = false;
    this.#need = 'nothing';
    this.#passage.passPending();
    const { offset, tail, pending } = this.#passage;
    if (offset < tail) this.#await('history');
    else if (pending.length > 0 || pending.isIncomplete) this.#need = 'position';
  }
}
