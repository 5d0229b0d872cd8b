import type { GapReason, Position } from '@tradewind/protocol';
import { InOrderOutput } from './in-order-output.ts';
import type { HistoryEntry, HistoryPage, Message } from './message.ts';
import {
  COMPARE_SOON,
  GIVE_UP,
  NOTHING,
  READ_POSITION,
  READ_STALE_POSITION,
  type SequenceAction,
} from './sequence-action.ts';
import type { SequenceListener } from './sequence-listener.ts';
import type { WaitingLimits } from './waiting-messages.ts';

export interface SequenceLimits {
  /** How much of one channel may wait for a read. */
  readonly waiting: WaitingLimits;
  /** The most publications that a page of history holds; 0: holes are told, not repaired. */
  readonly page: number;
}

/**
 * What is known of a channel in Redis:
 * - `unknown`: nothing yet;
 * - `empty`: it has no `meta`, so whatever comes is new, from offset 1 on;
 * - `unreadable`: this node may not read where it stands, so it flows without offsets;
 * - `tracking`: its epoch and offset;
 * - `invalid`: what was known does not hold any more, and whatever Redis has is taken over.
 */
type Knowledge = 'unknown' | 'empty' | 'unreadable' | 'tracking' | 'invalid';

/** A request for the position, and what was true when it was sent. */
interface PositionRequest {
  readonly offset: number;
  /** ms since the Unix epoch. */
  readonly askedAt: number;
}

/** A position that was read, and when it was asked for, in ms since the Unix epoch. */
interface KnownPosition extends Position {
  readonly askedAt: number;
}

/**
 * What the sequence is doing. Messages go out in `flowing` alone; in all other phases they wait.
 * - `unlinked`: the subscription is lost.
 * - `locating`: the position must be read.
 * - `flowing`: what follows goes out. A position is read meanwhile, if `check` says so: because of what waits, or because
 *   the end is looked at (`end`), or to look into a suspicion.
 * - `repairing`: history must be read, to fill a hole or to compare what was delivered.
 * - `switching`: history of the epoch must be read that the channel enters next.
 * - `replacing`: a new epoch must be started.
 */
type Phase =
  | { readonly kind: 'unlinked' }
  | { readonly kind: 'locating'; request: PositionRequest | undefined }
  | {
      readonly kind: 'flowing';
      check: 'no' | 'end' | 'suspicion';
      request: PositionRequest | undefined;
    }
  | { readonly kind: 'repairing'; readonly from: number }
  | { readonly kind: 'switching'; readonly next: KnownPosition }
  | { readonly kind: 'replacing'; readonly lostEpoch: string | undefined };

/** Epochs that are known to be over: as many failovers may follow each other and each lose the one before. */
const LEFT_EPOCHS_KEPT = 4;

/**
 * The order of one channel on one node: which offset is next, and what must be done when another one comes. It only keeps
 * books: it reads nothing and has no clock. Each call returns what the owner must do next.
 *
 * A header is believed: whoever may PUBLISH on a channel speaks for it. The next offset of the known epoch is delivered
 * in the call that brings it. A message that does not follow waits until `meta` was read. `meta` is read on the
 * connection that carries the subscription, so everything that was published before the read has arrived before its
 * answer: an offset that is missing then was lost, and a message that is beyond the answer is dropped. History is
 * read on another connection and may be ahead. It is used up to what `meta` told, since the rest is still to arrive.
 */
export class ChannelSequence {
  readonly #limits: SequenceLimits;
  readonly #listener: SequenceListener;
  readonly #output: InOrderOutput;
  #phase: Phase = { kind: 'locating', request: undefined };
  #knowledge: Knowledge = 'unknown';
  /** Whether a publication without offset has ever come. */
  #hasPlain = false;
  /** Whether history must show our last publication: Redis may have lost it and gone on without it. */
  #mustVerify = false;
  /** Epochs that were left, the latest last. A server that comes back to one of them gives out its offsets again. */
  #leftEpochs: readonly string[] = [];
  /** The epoch that was replaced last, until another one is entered. */
  #replacedEpoch: string | undefined;

  constructor(limits: SequenceLimits, listener: SequenceListener) {
    this.#limits = limits;
    this.#listener = listener;
    this.#output = new InOrderOutput(limits.waiting, listener);
  }

  /** The channel's epoch; empty while it has no history. */
  get epoch(): string {
    return this.#output.epoch;
  }

  /** Up to where everything was delivered or told as lost; undefined while the channel has no history. */
  get position(): Position | undefined {
    const { epoch, offset } = this.#output;
    return epoch === '' ? undefined : { epoch, offset };
  }

  /** The number of messages that wait. */
  get waiting(): number {
    return this.#output.waiting;
  }

  /** Whether the answer to a request counts that {@link beginPositionRead} told of. */
  get awaitsPosition(): boolean {
    const phase = this.#phase;
    return (phase.kind === 'locating' || phase.kind === 'flowing') && phase.request !== undefined;
  }

  /** A message of the channel arrived. Its payload may be a view: if it must wait, it is copied. */
  deliverOrHold(message: Message): SequenceAction {
    if (message.offset === 0) this.#hasPlain = true;
    if (this.#phase.kind !== 'flowing') this.#output.hold(message);
    else if (!this.#output.offer(message)) this.check();
    return this.#nextAction();
  }

  /** Asks for a look at the channel's end: is the last message that came really the last? */
  check(): SequenceAction {
    const phase = this.#phase;
    if (phase.kind === 'flowing' && phase.check === 'no') phase.check = 'end';
    return this.#nextAction();
  }

  /** Asks for a look into a suspicion, if there is one. It costs a read of history, and messages wait meanwhile. */
  compare(): SequenceAction {
    const phase = this.#phase;
    if (phase.kind === 'flowing' && this.#output.isSuspicious) phase.check = 'suspicion';
    return this.#nextAction();
  }

  /** The subscription is lost. What comes before {@link relink} waits. */
  unlink(): SequenceAction {
    this.#phase = { kind: 'unlinked' };
    this.#output.dropWaiting();
    return this.#nextAction();
  }

  /**
   * The subscription is there again, after it was lost.
   *
   * @param sameServer whether the server is the same, with the same data, as before. If it once was not, our last
   *   publication is compared, however often the link is lost again before that is done.
   */
  relink(sameServer: boolean): SequenceAction {
    if (!sameServer) {
      if (this.#output.offset > 0) this.#mustVerify = true;
      if (this.#knowledge === 'empty') this.#knowledge = 'invalid';
    }
    this.#phase = { kind: 'locating', request: undefined };
    if (this.epoch === '' || this.#hasPlain) {
      this.#output.forgetDroppedPlain();
      this.#listener.onPlainLost();
    }
    return this.#nextAction();
  }

  /**
   * The position is being asked for now. Returns whether it is needed, so that the answer can count.
   *
   * @param now ms since the Unix epoch.
   */
  beginPositionRead(now: number): boolean {
    const phase = this.#phase;
    const isNeeded =
      phase.kind === 'locating' || (phase.kind === 'flowing' && phase.check !== 'no');
    if (!isNeeded) return false;
    this.#output.markRequest();
    phase.request = { offset: this.#output.offset, askedAt: now };
    return true;
  }

  /** The position was read; undefined when the channel has no `meta`. An answer that nobody awaits is ignored. */
  applyPosition(position: Position | undefined): SequenceAction {
    const request = this.#takeRequest();
    if (request !== undefined) this.#locate(position, request);
    return this.#nextAction();
  }

  /** Redis refuses to tell the position. The channel can do without offsets while it has told none. */
  abandonPosition(): SequenceAction {
    if (this.epoch !== '') return GIVE_UP;
    const request = this.#takeRequest();
    if (request === undefined) return this.#nextAction();
    if (this.#knowledge === 'unknown') {
      this.#begin(undefined, request, 'unreadable');
    } else {
      this.#learn('unreadable');
      this.#flow();
    }
    return this.#nextAction();
  }

  /** A page of history was read, from the offset on that `read-history` gave. */
  applyHistory(page: HistoryPage): SequenceAction {
    const phase = this.#phase;
    if (phase.kind !== 'repairing' && phase.kind !== 'switching') return this.#nextAction();
    const known =
      phase.kind === 'switching'
        ? phase.next
        : { epoch: this.epoch, offset: this.#output.confirmedOffset };
    const { position } = page;
    if (position?.epoch !== known.epoch || position.offset < known.offset) {
      // It is of another server, or of an older time: the position may be another one, too.
      this.#phase = { kind: 'locating', request: undefined };
      return READ_STALE_POSITION;
    }
    const until = this.#endOf(page, known.offset);
    const entries = page.publications.filter(({ offset }) => offset <= until);
    if (phase.kind === 'switching') this.#switchTo(phase.next, entries, 'trimmed');
    else this.#repair(entries, until);
    return this.#nextAction();
  }

  /** History cannot be read: what is missing is told as lost, and what history had to show counts as not shown. */
  abandonHistory(): SequenceAction {
    const phase = this.#phase;
    if (phase.kind === 'switching') {
      this.#switchTo(phase.next, [], 'link');
    } else if (phase.kind === 'repairing') {
      this.#output.dropSuspicion();
      if (this.#mustVerify) this.#replace(this.epoch);
      else this.#merge([], this.#output.confirmedOffset, 'link');
    }
    return this.#nextAction();
  }

  /** A new epoch was started, by us or by another node. The position will show it. */
  locateNewEpoch(): SequenceAction {
    if (this.#phase.kind === 'replacing') this.#phase = { kind: 'locating', request: undefined };
    return this.#nextAction();
  }

  /** No new epoch can be started: the channel goes on where Redis has it, and a loss of unknown size is told. */
  abandonNewEpoch(): SequenceAction {
    if (this.#phase.kind !== 'replacing') return this.#nextAction();
    this.#learn('invalid');
    this.#phase = { kind: 'locating', request: undefined };
    this.#listener.onPlainLost();
    return this.#nextAction();
  }

  #nextAction(): SequenceAction {
    const phase = this.#phase;
    switch (phase.kind) {
      case 'unlinked':
        return NOTHING;
      case 'locating':
        return READ_POSITION;
      case 'flowing':
        if (phase.check !== 'no') return READ_POSITION;
        return this.#output.isSuspicious ? COMPARE_SOON : NOTHING;
      case 'repairing':
        return { kind: 'read-history', from: phase.from };
      case 'switching':
        return {
          kind: 'read-history',
          from: Math.max(1, phase.next.offset - this.#limits.page + 1),
        };
      case 'replacing':
        return { kind: 'start-epoch', replaces: phase.lostEpoch };
    }
  }

  #takeRequest(): PositionRequest | undefined {
    const phase = this.#phase;
    if (phase.kind !== 'locating' && phase.kind !== 'flowing') return undefined;
    const { request } = phase;
    phase.request = undefined;
    if (request !== undefined) this.#output.markAnswer();
    return request;
  }

  #learn(knowledge: Knowledge): void {
    this.#knowledge = knowledge;
    this.#output.deliverWithoutOffsets(knowledge === 'unreadable');
  }

  #locate(position: Position | undefined, request: PositionRequest): void {
    if (this.#knowledge === 'unknown') this.#begin(position, request, 'empty');
    else if (this.#knowledge !== 'tracking') this.#adopt(position, request);
    else if (position === undefined) this.#replace(undefined);
    else if (this.#wentBack(position, request)) this.#replace(position.epoch);
    else if (position.epoch !== this.epoch) this.#readToSwitch(position, request);
    else this.#confirmUpTo(position.offset);
  }

  /** @param otherwise what is known if there is no position. */
  #begin(position: Position | undefined, { askedAt }: PositionRequest, otherwise: Knowledge): void {
    this.#learn(position === undefined ? otherwise : 'tracking');
    this.#output.startAt(position, askedAt);
    this.#listener.onReady();
    this.#flow();
  }

  /** Adopts Redis' position, because none of ours is valid. */
  #adopt(position: Position | undefined, request: PositionRequest): void {
    if (position === undefined) {
      this.#leaveEpoch('empty');
      this.#output.enterEpoch({ epoch: '', offset: 0 });
      this.#flow();
    } else if (this.#knowledge === 'invalid') {
      this.#readToSwitch(position, request);
    } else if (this.#knowledge === 'unreadable') {
      this.#switchTo({ ...position, askedAt: request.askedAt }, [], 'link');
    } else {
      this.#leaveEpoch('tracking');
      this.#output.enterEpoch({ epoch: position.epoch, offset: 0 });
      this.#confirmUpTo(position.offset);
    }
  }

  #wentBack({ epoch, offset }: Position, request: PositionRequest): boolean {
    return epoch === this.epoch ? offset < request.offset : this.#leftEpochs.includes(epoch);
  }

  /** `meta` has told that the epoch reaches to this offset. */
  #confirmUpTo(offset: number): void {
    const phase = this.#phase;
    const isLookedInto = phase.kind === 'flowing' && phase.check === 'suspicion';
    this.#output.confirmUpTo(offset);
    if (this.#mustVerify || (isLookedInto && this.#output.isSuspicious)) this.#readToRepair();
    else this.#flow();
  }

  #replace(lostEpoch: string | undefined): void {
    this.#replacedEpoch = lostEpoch;
    this.#phase = { kind: 'replacing', lostEpoch };
  }

  #readToSwitch(position: Position, { askedAt }: PositionRequest): void {
    this.#phase = { kind: 'switching', next: { ...position, askedAt } };
    if (this.#limits.page === 0) this.abandonHistory();
  }

  #readToRepair(): void {
    const { isSuspicious, historyFrom, offset } = this.#output;
    const from = this.#mustVerify && !isSuspicious ? offset : historyFrom;
    this.#phase = { kind: 'repairing', from };
    if (this.#limits.page === 0) this.abandonHistory();
  }

  /** The last offset that a page speaks of, at most the last one that is known. */
  #endOf({ publications, isWhole }: HistoryPage, known: number): number {
    const last = publications.at(-1)?.offset ?? 0;
    const isLast = isWhole ?? publications.length < this.#limits.page;
    return isLast || last >= known ? known : last;
  }

  #repair(entries: readonly HistoryEntry[], until: number): void {
    if (this.#mustVerify || this.#output.isSuspicious) {
      const verdict = this.#output.compareWith(entries);
      if (verdict === 'same') this.#mustVerify = false;
      const isMissing = this.#mustVerify && until >= this.#output.offset;
      if (verdict === 'different' || isMissing) {
        this.#replace(this.epoch);
        return;
      }
    }
    if (this.#mustVerify) this.#readToRepair();
    else this.#merge(entries, until, 'trimmed');
  }

  #merge(entries: readonly HistoryEntry[], until: number, reason: GapReason): void {
    this.#output.merge(entries, until, reason);
    this.#flow();
  }

  /** Enters an epoch, with those of its publications that nobody here can have had under the old one. */
  #switchTo(next: KnownPosition, entries: readonly HistoryEntry[], reason: GapReason): void {
    const replaced = [this.epoch, this.#replacedEpoch];
    this.#leaveEpoch('tracking');
    this.#output.takeOverEpoch(next, next.askedAt, entries, replaced);
    this.#merge(entries, next.offset, reason);
  }

  #leaveEpoch(knowledge: Knowledge): void {
    const others = this.#leftEpochs.filter((epoch) => epoch !== this.epoch);
    this.#leftEpochs = [...others, this.epoch].slice(-LEFT_EPOCHS_KEPT);
    this.#replacedEpoch = undefined;
    this.#mustVerify = false;
    this.#learn(knowledge);
  }

  /** Delivers what waits, as far as it follows. What is lacking for the rest decides the phase. */
  #flow(): void {
    const phase: Phase = { kind: 'flowing', check: 'no', request: undefined };
    this.#phase = phase;
    const lack = this.#output.release();
    if (lack === 'history') this.#readToRepair();
    else if (lack === 'position') phase.check = 'end';
  }
}
