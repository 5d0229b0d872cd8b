import { Backlog } from './backlog.ts';
import type { Loss, Notice } from './losses.ts';
import type { Publication } from './publication.ts';
import type { PublicationLog } from './publication-log.ts';
import { QueueOutcomes } from './queue-outcomes.ts';
import type { Replay } from './replay.ts';
import type { EntryTaker, SendQueues } from './send-queues.ts';
import { hasStruckOut, lagsTooLong, type Pace, type SlowPolicy } from './slow-policy.ts';

/**
 * What became of a publication or a control frame:
 * - `queued`: it waits behind others.
 * - `wasIdle`: it waits, and nothing did before. Flush the client at the end of the turn.
 * - `nearlyFull`: it waits, and the next one may find no room although the socket takes bytes. Flush now.
 * - `refused`: there was no room, because the socket does not take bytes. The loss is remembered.
 * - `slow`: it was refused as well. Disconnect the client.
 */
export type OutboxVerdict = 'queued' | 'wasIdle' | 'nearlyFull' | 'refused' | 'slow';

/** What one client is sent of a publication, behind its number. */
export type BodyOf = (publication: Publication) => Uint8Array;

const sharedBody: BodyOf = ({ body }) => body;

/**
 * Publications of the log that one {@link Outbox.catchUp} looks at; most may be of channels that this
 * client does not receive. So one client that is far behind does not hold up the others.
 */
const CATCH_UP_LOOKS = 4_096;

/**
 * What one client is yet to be sent, in order: references to shared publications, in a bounded
 * number of slots, and control frames between them. What a delivery needs of it is its queue, among the
 * {@link SendQueues} of the worker; this is the rest.
 *
 * Every publication takes the client's next `seq` when it is offered, also if it is refused. After a
 * refusal all further publications are refused, and remembered as a place in the worker's log, until
 * the client has been given what it missed ({@link catchUp}) as far as the log still holds it. The
 * rest, a hole in `seq`, is told before the next publication of its channel, and once rather than per
 * slot ({@link takeLosses}).
 */
export class Outbox {
  readonly #queues: SendQueues;
  #queueId: number;
  #backlog: Backlog | undefined;
  /** Whether it was spared for its lag since it last kept up. */
  #isSpared = false;
  readonly #policy: SlowPolicy;
  readonly #bodyOf: BodyOf;
  readonly #log: PublicationLog;
  readonly #pace: Pace = { refusalsInARow: 0, firstRefusedAt: 0 };

  /**
   * Whoever makes it ends it, with {@link end}.
   *
   * @param queues those of all outboxes of a worker.
   * @param log holds each publication before it is offered.
   * @param bodyOf what this client is sent of a publication in the log or in a replay; the publication's body by default.
   */
  constructor(
    queues: SendQueues,
    policy: SlowPolicy,
    log: PublicationLog,
    bodyOf: BodyOf = sharedBody,
  ) {
    this.#bodyOf = bodyOf;
    this.#queues = queues;
    this.#policy = policy;
    this.#log = log;
    this.#queueId = queues.begin();
  }

  /** The place of its queue among those of the worker; it stays the same until {@link end}. */
  get queueId(): number {
    return this.#queueId;
  }

  /** Whether the socket still holds bytes that the kernel did not take. Its owner keeps this true. */
  get blocked(): boolean {
    return this.#queues.isBlocked(this.#queueId);
  }

  set blocked(isBlocked: boolean) {
    this.#queues.setBlocked(this.#queueId, isBlocked);
  }

  /** Entries that wait: publications and control frames. */
  get size(): number {
    return this.#queues.size(this.#queueId);
  }

  /** Entries for which it has memory at the moment. */
  get capacity(): number {
    return this.#queues.capacity(this.#queueId);
  }

  /** Publications that wait; never more than the limit's slots. */
  get depth(): number {
    return this.#queues.publications(this.#queueId);
  }

  /** Bytes of the publications that wait. */
  get bytes(): number {
    return this.#queues.bytes(this.#queueId);
  }

  /** Whether publications were refused that the client was neither given nor told of yet. */
  get isBehind(): boolean {
    return this.#backlog !== undefined;
  }

  /** The `seq` that the latest publication took; 0 before the first. */
  get lastSequence(): number {
    return this.#queues.lastSequence(this.#queueId);
  }

  /**
   * Gives a publication, the latest in the log, the next `seq` and queues it, if there is room.
   *
   * @param now ms on the clock that all calls share.
   */
  offer(publication: Publication, now: number): OutboxVerdict {
    const outcomes = new QueueOutcomes();
    this.#queues.offer([this.#queueId], publication.body, now, outcomes);
    const [verdict] = outcomes.verdicts;
    return verdict === 'refused' ? this.refuse(publication, now) : (verdict ?? 'queued');
  }

  /**
   * Remembers that its queue refused a publication, the latest in the log; `slow` when that is once too often.
   *
   * @param now ms on the clock that all calls share.
   */
  refuse(publication: Publication, now: number): 'refused' | 'slow' {
    this.#fallBehind().refuse(publication);
    if (!this.blocked) return 'refused';
    if (this.#pace.refusalsInARow === 0) this.#pace.firstRefusedAt = now;
    this.#pace.refusalsInARow += 1;
    const isStruckOut = hasStruckOut(this.#pace, this.#policy, now);
    return isStruckOut || this.isLate(now) ? 'slow' : 'refused';
  }

  /**
   * Queues a control frame, in order with the publications but in slots of its own. `slow` means
   * that the client asks faster than it reads the answers: the frame was not queued.
   */
  offerControl(frame: Uint8Array): Exclude<OutboxVerdict, 'refused'> {
    const { controls, controlBytes } = this.#queues.limits;
    const bytes = this.#queues.controlBytes(this.#queueId) + frame.length;
    if (this.#controls >= controls || bytes > controlBytes) return 'slow';
    this.#queues.pushControl(this.#queueId, frame);
    if (!this.blocked && this.#isNearlyFullOfControls()) return 'nearlyFull';
    return this.size === 1 ? 'wasIdle' : 'queued';
  }

  /**
   * Keeps a notice of which the client is to be told at this place, behind all that it was refused or
   * promised: {@link takeLosses} gives it out. What is offered from here on is refused until then.
   */
  defer(notice: Notice): void {
    this.#fallBehind().defer(notice);
  }

  /**
   * Queues a notice whose place is here, as {@link offerControl} does. Where there is no room for it, it is kept, and
   * {@link takeLosses} gives it out before all that the client is owed; what follows of its channel stays behind it.
   */
  offerNotice(
    notice: Notice & { readonly frame: Uint8Array },
  ): 'queued' | 'wasIdle' | 'nearlyFull' {
    const isNext = this.#backlog?.tellsFirst(notice.channel) !== true;
    const verdict = isNext ? this.offerControl(notice.frame) : 'slow';
    if (verdict !== 'slow') return verdict;
    this.#fallBehind().tellFirst(notice);
    return 'queued';
  }

  /**
   * Promises a replay: it takes the client's next numbers, is held for it, and is queued by
   * {@link catchUp} before anything that is offered from here on. To be followed by a flush.
   */
  replay(replay: Replay): void {
    this.#fallBehind().scheduleReplay(replay);
    this.#queues.reserveSequences(this.#queueId, replay.count);
  }

  /** The client no longer receives a channel: what it was refused of it is never given to it. */
  leave(channel: string): void {
    this.#backlog?.leave(channel);
  }

  /** Nothing more is offered; see {@link Backlog.close}. */
  close(epochOf: (channel: string) => string | undefined): void {
    this.#backlog?.close(epochOf);
  }

  /** Whether the client was promised a replay that is not all queued yet. */
  get isPromised(): boolean {
    return this.#backlog?.isPromised === true;
  }

  /** Whether publications of this channel were refused that it was neither given nor told of yet. */
  misses(channel: string): boolean {
    return this.#backlog?.misses(channel) === true;
  }

  /** The next entry's bytes, or undefined when nothing waits: a publication's body or a control frame. */
  peek(): Uint8Array | undefined {
    return this.#queues.peek(this.#queueId);
  }

  /** See {@link SendQueues.touchNext}. */
  touchNext(): number {
    return this.#queues.touchNext(this.#queueId);
  }

  /** Hands the next entries over; see {@link SendQueues.drainInto}. */
  drainInto(taker: EntryTaker, aheadBytes = 0): void {
    const publications = this.#queues.drainInto(this.#queueId, taker, aheadBytes);
    if (publications > 0 && this.depth === 0 && this.#backlog === undefined) this.#keepsUp();
  }

  /**
   * What was lost since the last call, once there is room to go on: then the caller queues a `gap` for
   * each, in order, before it does anything else. Undefined when nothing was lost, when the log still holds
   * it, or when it is too early.
   */
  takeLosses(): readonly Loss[] | undefined {
    if (this.#backlog === undefined || !this.#isHalfFree()) return undefined;
    const losses = this.#backlog.takeLosses();
    this.#endBacklogWhenOver();
    return losses;
  }

  /**
   * Queues what was refused and the log still holds, once there is room, each under the `seq` that it
   * took when it was refused. Call it after the gaps of {@link takeLosses} were queued. Returns how
   * many were queued; {@link isBehind} tells whether there may be more.
   */
  catchUp(): number {
    const backlog = this.#backlog;
    if (backlog === undefined || !this.#isHalfFree()) return 0;
    const end = backlog.position + CATCH_UP_LOOKS;
    let queued = 0;
    for (;;) {
      const publication = backlog.peek(end);
      if (publication === undefined) break;
      const body = this.#bodyOf(publication);
      if (!this.#queues.hasRoomFor(this.#queueId, body)) break;
      this.#queues.pushPublication(this.#queueId, body, this.lastSequence - backlog.owed + 1);
      backlog.shift();
      queued += 1;
    }
    if (queued > 0) this.#pace.refusalsInARow = 0;
    this.#endBacklogWhenOver();
    return queued;
  }

  /**
   * Whether publications have waited too long. A client that is too late but has lost nothing yet is
   * spared once, until it keeps up: it is told what it missed instead of being given it, and goes on
   * from there. One that was promised a replay is not: what was promised is given, or the connection ends.
   */
  isLate(now: number): boolean {
    const behindSince = this.#queues.behindSince(this.#queueId);
    if (!lagsTooLong(behindSince, this.#policy, now)) return false;
    if (this.#isSpared || this.isPromised || this.#backlog?.isWhole !== true) return true;
    this.#isSpared = true;
    this.#backlog.abandon();
    this.#queues.setBehindSince(this.#queueId, now);
    return false;
  }

  /** Forgets all that waits. */
  clear(): void {
    this.#forgetBacklog();
    this.#queues.clear(this.#queueId);
    this.#pace.refusalsInARow = 0;
    this.#keepsUp();
  }

  /** Forgets all that waits, for good: nothing is to be offered to it from here on. */
  end(): void {
    this.#forgetBacklog();
    this.#queueId = this.#queues.end(this.#queueId);
  }

  /** Control frames that wait. */
  get #controls(): number {
    return this.size - this.depth;
  }

  #isNearlyFullOfControls(): boolean {
    const { controls, controlBytes } = this.#queues.limits;
    return (
      this.#controls * 2 >= controls || this.#queues.controlBytes(this.#queueId) * 2 >= controlBytes
    );
  }

  #isHalfFree(): boolean {
    const { slots, bytes, controls } = this.#queues.limits;
    return this.depth <= slots / 2 && this.bytes <= bytes / 2 && this.#controls <= controls / 2;
  }

  /** From here on what is offered is refused, until the backlog is over. */
  #fallBehind(): Backlog {
    this.#queues.setBehind(this.#queueId, true);
    this.#backlog ??= new Backlog(this.#log);
    return this.#backlog;
  }

  /** Ends the backlog when nothing of it is left: from here on what is offered is queued again. */
  #endBacklogWhenOver(): void {
    if (this.#backlog?.isOver !== true) return;
    this.#backlog.end();
    this.#backlog = undefined;
    this.#queues.setBehind(this.#queueId, false);
    this.#pace.refusalsInARow = 0;
    if (this.depth === 0) this.#keepsUp();
  }

  #forgetBacklog(): void {
    this.#backlog?.end();
    this.#backlog = undefined;
    this.#queues.setBehind(this.#queueId, false);
  }

  #keepsUp(): void {
    this.#queues.setBehindSince(this.#queueId, Number.NaN);
    this.#isSpared = false;
  }
}
