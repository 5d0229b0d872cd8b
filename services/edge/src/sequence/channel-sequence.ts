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

/** The limits of one channel's sequence. */
export interface SequenceLimits {
  /** How much of one channel may wait for a read. */
  readonly waiting: WaitingLimits;
  /** The most publications that a page of history holds; 0 if holes are told as lost instead of being repaired. */
  readonly page: number;
}

/**
 * What is known of a channel in Redis:
 * - `unknown`: nothing yet;
 * - `empty`: it has no `meta`, so all publications are new, from offset 1 on;
 * - `unreadable`: this node may not read its position, so it is delivered without offsets;
 * - `tracking`: its epoch and offset;
 * - `invalid`: what was known is no longer true, and the position in Redis is adopted.
 */
type Knowledge = 'unknown' | 'empty' | 'unreadable' | 'tracking' | 'invalid';

/** A request for the position, with our offset when it was sent. */
interface PositionRequest {
  readonly offset: number;
  /** ms since the Unix epoch. */
  readonly askedAt: number;
}

/** A position that was read, and when it was requested, in ms since the Unix epoch. */
interface KnownPosition extends Position {
  readonly askedAt: number;
}

/**
 * What the sequence is doing. Messages are delivered only in `flowing`; in all other phases they wait.
 * - `unlinked`: the subscription is lost.
 * - `locating`: the position must be read.
 * - `flowing`: messages that follow are delivered. The position is read meanwhile if `check` says so: for messages that wait or
 *   for the channel's end (`end`), or to resolve a suspicion.
 * - `repairing`: history must be read, to fill a hole or to compare what was delivered.
 * - `switching`: history must be read of the epoch that the channel enters next.
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

/** How many ended epochs are remembered: as many failovers may follow each other, each of which loses the one before. */
const LEFT_EPOCHS_KEPT = 4;

/**
 * The order of one channel on one node: which offset is next, and what must be done if another one comes. It is pure: it reads
 * nothing and has no clock. Each call returns what the owner must do next.
 *
 * A header is believed: every client that may PUBLISH on a channel speaks for it. A message with the next offset of the known epoch
 * is delivered within its call. A message that does not follow waits until `meta` was read. `meta` is read on the connection
 * that carries the subscription, so everything that was published before the read arrives before its answer: an offset that is
 * missing then was lost, and a message that is beyond the answer is dropped. History is read on another connection and may be
 * ahead. It is used up to the offset of `meta`, because the rest has yet to arrive.
 */
export class ChannelSequence {
  readonly #limits: SequenceLimits;
  readonly #listener: SequenceListener;
  readonly #output: InOrderOutput;
  #phase: Phase = { kind: 'locating', request: undefined };
  #knowledge: Knowledge = 'unknown';
  /** Whether a publication without an offset ever came. */
  #hasPlain = false;
  /** Whether history must show our last publication, because Redis may have lost it and continued without it. */
  #mustVerify = false;
  /** Epochs that were left, the latest last. A server that returns to one of them hands out its offsets again. */
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

  /** The position up to which everything was delivered or told as lost; undefined while the channel has no history. */
  get position(): Position | undefined {
    const { epoch, offset } = this.#output;
    return epoch === '' ? undefined : { epoch, offset };
  }

  /** The number of messages that wait. */
  get waiting(): number {
    return this.#output.waiting;
  }

  /** Whether a request that {@link beginPositionRead} announced is unanswered, and its answer is still needed. */
  get awaitsPosition(): boolean {
    const phase = this.#phase;
    return (phase.kind === 'locating' || phase.kind === 'flowing') && phase.request !== undefined;
  }

  /** Delivers a message that follows, and keeps any other until more is known. The payload may be a view: it is copied if it must wait. */
  deliverOrHold(message: Message): SequenceAction {
    if (message.offset === 0) this.#hasPlain = true;
    if (this.#phase.kind !== 'flowing') this.#output.hold(message);
    else if (!this.#output.offer(message)) this.check();
    return this.#nextAction();
  }

  /** Makes the sequence read the position, to check whether the last message that came is the channel's last one. */
  check(): SequenceAction {
    const phase = this.#phase;
    if (phase.kind === 'flowing' && phase.check === 'no') phase.check = 'end';
    return this.#nextAction();
  }

  /** Makes the sequence resolve a suspicion, if there is one. It costs a read of history, and messages wait meanwhile. */
  compare(): SequenceAction {
    const phase = this.#phase;
    if (phase.kind === 'flowing' && this.#output.isSuspicious) phase.check = 'suspicion';
    return this.#nextAction();
  }

  /** Records that the subscription is lost. Messages that come before {@link relink} wait. */
  unlink(): SequenceAction {
    this.#phase = { kind: 'unlinked' };
    this.#output.dropWaiting();
    return this.#nextAction();
  }

  /**
   * Continues after a lost subscription was restored.
   *
   * @param sameServer whether the server, and the data on it, are the same as before. If it once was another, our last
   *   publication is compared with history, however often the link is lost again before that is done.
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
   * Announces that the position is requested now. Returns whether it is needed: only then does the answer count.
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

  /** Applies a position that was read; undefined if the channel has no `meta`. Ignored unless {@link awaitsPosition}. */
  applyPosition(position: Position | undefined): SequenceAction {
    const request = this.#takeRequest();
    if (request !== undefined) this.#locate(position, request);
    return this.#nextAction();
  }

  /** Continues without offsets, because Redis refuses to tell the position. A channel that has told offsets must be given up. */
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

  /** Applies a page of history that begins at the offset of `read-history`. */
  applyHistory(page: HistoryPage): SequenceAction {
    const phase = this.#phase;
    if (phase.kind !== 'repairing' && phase.kind !== 'switching') return this.#nextAction();
    const known =
      phase.kind === 'switching'
        ? phase.next
        : { epoch: this.epoch, offset: this.#output.confirmedOffset };
    const { position } = page;
    if (position?.epoch !== known.epoch || position.offset < known.offset) {
      // The page is of another server, or older than the position, so the position may be outdated too.
      this.#phase = { kind: 'locating', request: undefined };
      return READ_STALE_POSITION;
    }
    const until = this.#endOf(page, known.offset);
    const entries = page.publications.filter(({ offset }) => offset <= until);
    if (phase.kind === 'switching') this.#switchTo(phase.next, entries, 'trimmed');
    else this.#repair(entries, until);
    return this.#nextAction();
  }

  /** Continues without history, which cannot be read: what is missing is told as lost, and what history had to show counts as lost by Redis. */
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

  /** Reads the position again, because a new epoch was started by this node or another one. */
  locateNewEpoch(): SequenceAction {
    if (this.#phase.kind === 'replacing') this.#phase = { kind: 'locating', request: undefined };
    return this.#nextAction();
  }

  /** Continues at the position in Redis, because no new epoch can be started, and tells a loss of unknown size. */
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

  /** @param otherwise the knowledge if there is no position. */
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

  /** Applies the offset of `meta` in the known epoch. */
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

  /** The last offset that a page covers, at most the last one that is known. */
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

  /** Enters an epoch, and delivers those of its publications that cannot have been delivered under the old one. */
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

  /** Delivers the waiting messages that follow. What the rest lacks decides the phase. */
  #flow(): void {
    const phase: Phase = { kind: 'flowing', check: 'no', request: undefined };
    this.#phase = phase;
    const lack = this.#output.release();
    if (lack === 'history') this.#readToRepair();
    else if (lack === 'position') phase.check = 'end';
  }
}
