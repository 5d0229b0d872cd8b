import type { GapReason, Position } from '@tradewind/protocol';
import { PublicationFingerprints } from './publication-fingerprints.ts';

/** A message of a channel, as Redis delivered it or as its history holds it. */
export interface Arrival {
  /** Empty, with offset 0, for a plain PUBLISH. */
  readonly epoch: string;
  readonly offset: number;
  /** ms since the Unix epoch. */
  readonly publishedAt: number;
  /** Without the header. */
  readonly payload: Buffer;
}

/** What Redis holds of a channel, from one offset on, read in one step. */
export interface HistoryPage {
  readonly position: Position | undefined;
  /** In ascending order of offsets, as many as were asked for at most. */
  readonly publications: readonly Omit<Arrival, 'epoch'>[];
}

/** Why a message with a header is not passed on. */
export type HeaderFault =
  /** Its offset was passed on before: a repair was faster, or it comes twice. */
  | 'old'
  /** Its epoch is not the channel's. */
  | 'foreign_epoch'
  /** Its offset is beyond the channel's end: forged. */
  | 'unconfirmed';

/** Whom a sequence tells. The order of the calls is the order in which subscribers are to hear of it. */
export interface SequenceOutput {
  /** The channel's position is known for the first time; what is published from here on is newer. */
  ready(): void;
  publish(arrival: Arrival): void;
  /** Offsets of the present epoch that cannot be had, both inclusive. */
  gap(from: number, to: number, reason: GapReason): void;
  /** Publications without offsets were lost: so many, or nobody knows how many. */
  lostPlain(count?: number): void;
  /** A new epoch begins at this position. */
  resync(position: Position): void;
  rejected(fault: HeaderFault): void;
  /** So many publications, told before by `publish`, had been missed and came from history. */
  repaired(publications: number): void;
}

/**
 * What a sequence waits for:
 * - `link`: the subscription, which was lost;
 * - `position`: the channel's `meta`, read over the subscription's own connection;
 * - `history`: a page of its log, from {@link ChannelSequence.historyFrom} on;
 * - `epoch`: a new epoch, because Redis lost what it had told: see {@link ChannelSequence.lostEpoch}.
 */
export type SequenceNeed = 'nothing' | 'link' | 'position' | 'history' | 'epoch';

export interface SequenceLimits {
  /** Messages of one channel that may wait for a read. */
  readonly messages: number;
  /** The same in bytes. */
  readonly bytes: number;
  /** Publications that a page of history holds at most; 0: holes are told, not repaired. */
  readonly page: number;
  /** Whether headers are taken at their word instead of being confirmed by `meta`. */
  readonly trustsHeaders: boolean;
}

/**
 * How far the clocks of a master, the replica that takes its place, and this node may be apart, in ms.
 * Where nothing else tells what was passed on before a failover that lost writes, what is stamped later
 * than our last publication less this is sent under the new epoch: rather twice under two epochs than
 * never.
 */
const CLOCK_SKEW_MS = 2_000;

/**
 * The order of one channel, as one node passes it on: which offset is next, and what to do when it does
 * not come. Pure bookkeeping: it reads nothing itself and has no clock. Its owner looks at {@link need}
 * after each call and brings what it says.
 *
 * A header is a claim. A publication is passed on when its offset is the next one *and* `meta` confirms
 * that the channel has come that far. `meta` is read on the connection that carries the subscription, so
 * everything that was published before the read has arrived before its answer: what is missing then was
 * lost, and what claims to be beyond the answer was forged.
 */
export class ChannelSequence {
  readonly #limits: SequenceLimits;
  readonly #output: SequenceOutput;
  #need: SequenceNeed = 'position';
  #isNew = true;
  /** Whether nothing may be passed on until a read has come. */
  #isHalted = true;
  #epoch = '';
  #offset = 0;
  /** How far `meta` has confirmed the epoch. */
  #tail = 0;
  /** Of the last publication that was passed on; 0 when there is none. */
  #lastPublishedAt = 0;
  readonly #passedOn = new PublicationFingerprints();
  /** When the position was taken over, for as long as nothing was passed on; ms since the Unix epoch. */
  #begunAt = 0;
  /** Whether a publication without offset has ever come. */
  #hasPlain = false;
  /**
   * Whether our last publication is to be compared with what Redis holds in its place. `required`: it has
   * to be there and the same; `suspected`: it must not be another, since anyone can forge a suspicion.
   */
  #compares: 'no' | 'suspected' | 'required' = 'no';
  /** Where the epoch is that is to be switched to. */
  #next: Position | undefined;
  #lostEpoch: string | undefined;
  #pending: Arrival[] = [];
  #pendingBytes = 0;
  /** Of the pending messages, how many had arrived when the position was asked for. */
  #confirmable = 0;
  #droppedPlain = 0;

  constructor(limits: SequenceLimits, output: SequenceOutput) {
    this.#limits = limits;
    this.#output = output;
  }

  get need(): SequenceNeed {
    return this.#need;
  }

  /** The channel's epoch; empty while it has no history. */
  get epoch(): string {
    return this.#epoch;
  }

  /** Up to where everything was passed on or told as lost; undefined while the channel has no history. */
  get position(): Position | undefined {
    return this.#epoch === '' ? undefined : { epoch: this.#epoch, offset: this.#offset };
  }

  /** The first offset that is needed, inclusive, while {@link need} is `history`. */
  get historyFrom(): number {
    if (this.#next !== undefined) return Math.max(1, this.#next.offset - this.#limits.page + 1);
    return this.#compares === 'no' ? this.#offset + 1 : this.#offset;
  }

  /** The epoch that is to be replaced while {@link need} is `epoch`; undefined if `meta` is missing. */
  get lostEpoch(): string | undefined {
    return this.#lostEpoch;
  }

  /** Messages that wait. */
  get pending(): number {
    return this.#pending.length;
  }

  /** A message of the channel arrived. Its payload may be a view; it is kept only while it waits. */
  receive(arrival: Arrival): void {
    if (arrival.offset === 0) this.#hasPlain = true;
    if (!this.#isHalted && this.#pending.length === 0 && this.#pass(arrival)) return;
    this.#hold(arrival);
    if (this.#need === 'nothing') this.#need = 'position';
  }

  /** The end of the channel is to be looked at: is what came last really the last? */
  check(): void {
    if (this.#need === 'nothing') this.#need = 'position';
  }

  /** The subscription is lost; what comes before {@link relinked} waits. */
  unlinked(): void {
    this.#need = 'link';
    this.#isHalted = true;
    this.#next = undefined;
    this.#forgetPending();
  }

  /**
   * The subscription is there again, after it was lost.
   *
   * @param sameServer whether the server is the same, with the same data, as before.
   */
  relinked(sameServer: boolean): void {
    this.#compares = sameServer ? 'no' : 'required';
    this.#need = 'position';
    if (this.#epoch === '' || this.#hasPlain) this.#output.lostPlain();
  }

  /** The position is being asked for now. */
  askedPosition(): void {
    this.#confirmable = this.#pending.length;
  }

  /**
   * The position that was asked for; undefined when the channel has no `meta`.
   *
   * @param now ms since the Unix epoch.
   */
  positionRead(position: Position | undefined, now: number): void {
    if (this.#need !== 'position') return;
    if (this.#isNew) this.#begin(position, now);
    else if (this.#epoch === '' && position === undefined) this.#flow();
    else if (position === undefined || this.#wentBack(position)) this.#loseEpoch(position);
    else if (position.epoch !== this.#epoch) this.#switchTo(position);
    else if (this.#compares !== 'no' && this.#offset > 0) this.#await('history', position.offset);
    else this.#flow(position.offset);
  }

  /** A page of history, which was read after {@link need} became `history`. */
  historyRead({ position, publications }: HistoryPage): void {
    if (this.#need !== 'history') return;
    if (position === undefined || (this.#next === undefined && this.#wentBack(position))) {
      this.#loseEpoch(position);
    } else if (this.#next !== undefined) {
      this.#enter(position, publications);
    } else if (position.epoch !== this.#epoch) {
      this.#switchTo(position);
    } else if (this.#isRefuted(publications[0])) {
      this.#loseEpoch(position);
    } else {
      this.#compares = 'no';
      this.#tail = position.offset;
      this.#repair(publications, publications.length >= this.#limits.page);
    }
  }

  /** The history cannot be had: what is missing is told. */
  historyUnavailable(): void {
    if (this.#need !== 'history') return;
    this.#compares = 'no';
    if (this.#next !== undefined) this.#enter(this.#next, []);
    else this.#repair([], false, 'link');
  }

  /**
   * A new epoch was begun, by us or by another node. If it is the present one, the loss was a delusion:
   * the position came from another server than the answer. It is asked for anew.
   */
  epochStarted(position: Position): void {
    if (this.#need !== 'epoch') return;
    if (position.epoch === this.#epoch) this.#need = 'position';
    else this.#switchTo(position);
  }

  /** No new epoch can be begun: the channel goes on where Redis has it, and a loss of unknown size is told. */
  epochRefused(): void {
    if (this.#need !== 'epoch') return;
    this.#compares = 'no';
    this.#epoch = '';
    this.#need = 'position';
    this.#output.lostPlain();
  }

  #pass(arrival: Arrival): boolean {
    const { epoch, offset } = arrival;
    if (offset === 0) {
      this.#output.publish(arrival);
      return true;
    }
    if (epoch !== this.#epoch) return false;
    if (offset <= this.#offset) {
      this.#rejectOld(arrival);
      return true;
    }
    if (offset !== this.#offset + 1) return false;
    if (offset > this.#tail && !this.#limits.trustsHeaders) return false;
    this.#deliver(arrival);
    return true;
  }

  /** An old offset that is younger than our last publication was handed out twice, or is forged. */
  #rejectOld(arrival: Arrival): void {
    this.#output.rejected('old');
    if (arrival.publishedAt <= this.#lastPublishedAt || this.#lastPublishedAt === 0) return;
    this.#compares = 'suspected';
    this.check();
  }

  #deliver(arrival: Arrival): void {
    this.#offset = arrival.offset;
    this.#tail = Math.max(this.#tail, arrival.offset);
    this.#lastPublishedAt = arrival.publishedAt;
    this.#passedOn.remember(arrival);
    this.#output.publish(arrival);
  }

  #hold(arrival: Arrival): void {
    const bytes = this.#pendingBytes + arrival.payload.length;
    if (this.#pending.length >= this.#limits.messages || bytes > this.#limits.bytes) {
      this.#forgetPending();
    }
    // A read from Redis takes longer: what waits for it must not keep a whole chunk of the socket alive.
    const payload = this.#need === 'position' ? arrival.payload : Buffer.from(arrival.payload);
    this.#pending.push({ ...arrival, payload });
    this.#pendingBytes += payload.length;
  }

  /** Those with offsets are in Redis' history, and are missed there; the others are lost. */
  #forgetPending(): void {
    for (const { offset } of this.#pending) if (offset === 0) this.#droppedPlain += 1;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#confirmable = 0;
  }

  /** What waits and was published before the channel was ready here belongs to nobody. */
  #forgetBefore(end: number): void {
    let confirmable = 0;
    const kept: Arrival[] = [];
    for (const [i, arrival] of this.#pending.entries()) {
      if (arrival.epoch === this.#epoch && arrival.offset > 0 && arrival.offset <= end) {
        this.#pendingBytes -= arrival.payload.length;
        continue;
      }
      if (i < this.#confirmable) confirmable += 1;
      kept.push(arrival);
    }
    this.#pending = kept;
    this.#confirmable = confirmable;
  }

  #wentBack({ epoch, offset }: Position): boolean {
    return epoch === this.#epoch && offset < this.#offset;
  }

  /** Whether Redis holds something else in the place of our last publication, or cannot show that it does not. */
  #isRefuted(first: Omit<Arrival, 'epoch'> | undefined): boolean {
    if (this.#compares === 'no') return false;
    if (first?.offset !== this.#offset) return this.#compares === 'required';
    return !(this.#passedOn.has(first) ?? first.publishedAt <= this.#lastSeenAt);
  }

  /** Until when, by a clock of others, all that was published is known here. */
  get #lastSeenAt(): number {
    return this.#lastPublishedAt === 0 ? this.#begunAt : this.#lastPublishedAt;
  }

  #begin(position: Position | undefined, now: number): void {
    this.#isNew = false;
    this.#begunAt = now;
    if (position !== undefined) {
      this.#epoch = position.epoch;
      this.#offset = position.offset;
    }
    this.#forgetBefore(this.#offset);
    this.#output.ready();
    this.#flow(this.#offset);
  }

  #loseEpoch(found: Position | undefined): void {
    this.#lostEpoch = found?.epoch;
    this.#await('epoch', 0);
  }

  #switchTo(position: Position): void {
    this.#next = position;
    this.#await('history', 0);
  }

  #await(need: 'history' | 'epoch', tail: number): void {
    this.#tail = Math.max(this.#tail, tail);
    this.#isHalted = true;
    this.#need = need;
    this.#confirmable = 0;
    this.#pending = this.#pending.map((held) => ({ ...held, payload: Buffer.from(held.payload) }));
    if (need === 'history' && this.#limits.page === 0) this.historyUnavailable();
  }

  /** Enters a new epoch with those of its publications that nobody here can have had under the old one. */
  #enter(position: Position, held: readonly Omit<Arrival, 'epoch'>[]): void {
    const publications = held.slice(this.#firstUnseen(held));
    this.#next = undefined;
    this.#compares = 'no';
    this.#epoch = position.epoch;
    this.#offset = publications[0] === undefined ? position.offset : publications[0].offset - 1;
    this.#tail = position.offset;
    this.#output.resync({ epoch: this.#epoch, offset: this.#offset });
    this.#repair(publications, held.length >= this.#limits.page);
  }

  /**
   * Of what Redis holds under a new epoch, the first that was not passed on under the old one. A replica
   * that took over holds what we had up to some point: up to the last one that is the very same.
   */
  #firstUnseen(held: readonly Omit<Arrival, 'epoch'>[]): number {
    const lastSeen = held.findLastIndex((one) => this.#passedOn.has(one) === true);
    if (lastSeen !== -1) return lastSeen + 1;
    const since = this.#epoch === '' ? 0 : this.#lastSeenAt - CLOCK_SKEW_MS;
    const first = held.findIndex(({ publishedAt }) => publishedAt >= since);
    return first === -1 ? held.length : first;
  }

  #repair(
    publications: readonly Omit<Arrival, 'epoch'>[],
    hasMore: boolean,
    reason: GapReason = 'trimmed',
  ): void {
    let repaired = 0;
    for (const publication of publications) {
      if (publication.offset <= this.#offset) continue;
      this.#tellGap(publication.offset - 1, reason);
      this.#deliver({ ...publication, epoch: this.#epoch });
      repaired += 1;
    }
    if (repaired > 0) this.#output.repaired(repaired);
    if (hasMore && this.#offset < this.#tail) return;
    this.#tellGap(this.#tail, reason);
    this.#confirmable = 0;
    this.#flow();
  }

  #tellGap(to: number, reason: GapReason): void {
    if (to <= this.#offset) return;
    this.#output.gap(this.#offset + 1, to, reason);
    this.#offset = to;
  }

  /** Passes on what waits, as far as the channel's end is known. */
  #flow(tail = this.#tail): void {
    this.#tail = Math.max(this.#tail, tail);
    this.#isHalted = false;
    this.#need = 'nothing';
    if (this.#droppedPlain > 0) this.#output.lostPlain(this.#droppedPlain);
    this.#droppedPlain = 0;
    this.#passPending();
    if (this.#offset < this.#tail) this.#await('history', this.#tail);
    else if (this.#pending.length > 0 || this.#compares !== 'no') this.#need = 'position';
  }

  #passPending(): void {
    let passed = 0;
    const contested = this.#contested();
    for (const arrival of this.#pending) {
      if (arrival.offset > this.#offset && contested?.has(arrival.offset)) break;
      if (!this.#pass(arrival)) {
        const fault = this.#faultOf(arrival);
        if (fault === undefined || passed >= this.#confirmable) break;
        this.#output.rejected(fault);
      }
      this.#pendingBytes -= arrival.payload.length;
      passed += 1;
    }
    this.#pending.splice(0, passed);
    this.#confirmable = 0;
  }

  /**
   * Offsets that several of the pending messages claim, so that history has to say which is the true one.
   * A forged one that claims the next offset right before the true one comes has it confirmed by that.
   */
  #contested(): Set<number> | undefined {
    if (this.#pending.length < 2) return undefined;
    const claimed = new Set<number>();
    let contested: Set<number> | undefined;
    for (const { epoch, offset } of this.#pending) {
      if (offset === 0 || epoch !== this.#epoch) continue;
      if (claimed.has(offset)) contested = (contested ?? new Set()).add(offset);
      claimed.add(offset);
    }
    return contested;
  }

  /** What is wrong with a message that had arrived before the position was asked for; undefined: a hole before it. */
  #faultOf({ epoch, offset }: Arrival): HeaderFault | undefined {
    if (epoch !== this.#epoch) return 'foreign_epoch';
    return offset > this.#tail ? 'unconfirmed' : undefined;
  }
}
