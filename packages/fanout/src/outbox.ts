import { Backlog } from './backlog.ts';
import type { Loss, Notice } from './losses.ts';
import type { Publication } from './publication.ts';
import type { PublicationLog } from './publication-log.ts';
import { QueueOutcomes } from './queue-outcomes.ts';
import type { Replay } from './replay.ts';
import type { EntryTaker, SendQueues } from './send-queues.ts';
import { hasStruckOut, lagsTooLong, type Pace, type SlowPolicy } from './slow-policy.ts';

/**
 * What the caller of an offer must do with a publication or a control frame that it offered:
 * - `queued`: nothing. It waits behind other entries.
 * - `wasIdle`: it waits, and the queue was empty before. Flush the client at the end of the turn.
 * - `nearlyFull`: it waits, and the next one may find no room although the socket takes bytes. Flush now.
 * - `refused`: nothing. There was no room, because the socket does not take bytes. The loss is remembered.
 * - `slow`: it was refused too, and once too often. Disconnect the client.
 */
export type OutboxVerdict = 'queued' | 'wasIdle' | 'nearlyFull' | 'refused' | 'slow';

/** Returns what one client is sent of a publication after its `seq`. Clients may share the result. */
export type BodyOf = (publication: Publication) => Uint8Array;

const sharedBody: BodyOf = ({ body }) => body;

/**
 * How many publications of the log one {@link Outbox.catchUp} examines. Most of them may be of channels that this client does
 * not receive. Without a bound, one client that is far behind would hold up the others.
 */
const CATCH_UP_LOOKS = 4_096;

/**
 * What one client must still be sent, in order: references to shared publications in a bounded number of slots, and
 * control frames between them. A delivery needs only the client's queue, which is among the {@link SendQueues} of the worker.
 * The outbox has the rest.
 *
 * Every publication takes the client's next `seq` when it is offered, even if it is refused. After a refusal all further
 * publications are refused too, and remembered by their numbers in the worker's log, until the client was sent what it missed
 * ({@link catchUp}). What the log no longer holds is a hole in `seq`. The client is told of it once, before the next publication
 * of its channel ({@link takeLosses}).
 */
export class Outbox {
  readonly #queues: SendQueues;
  #queueId: number;
  #backlog: Backlog | undefined;
  /** Whether {@link isLate} has spared the client since it last kept up. */
  #isSpared = false;
  readonly #policy: SlowPolicy;
  readonly #bodyOf: BodyOf;
  readonly #publicationLog: PublicationLog;
  readonly #pace: Pace = { refusalsInARow: 0, firstRefusedAt: 0 };

  /**
   * Its owner must call {@link end}.
   *
   * @param queues of all outboxes of the worker.
   * @param publicationLog of the worker. It must hold each publication before the publication is offered.
   * @param bodyOf for publications of the log or of a replay; returns the publication's own body by default.
   */
  constructor(
    queues: SendQueues,
    policy: SlowPolicy,
    publicationLog: PublicationLog,
    bodyOf: BodyOf = sharedBody,
  ) {
    this.#bodyOf = bodyOf;
    this.#queues = queues;
    this.#policy = policy;
    this.#publicationLog = publicationLog;
    this.#queueId = queues.addQueue();
  }

  /** The id of its queue among those of the worker. It stays the same until {@link end}. */
  get queueId(): number {
    return this.#queueId;
  }

  /** Whether the socket still holds bytes that the kernel did not take. Its owner keeps this up to date. */
  get blocked(): boolean {
    return this.#queues.isBlocked(this.#queueId);
  }

  set blocked(isBlocked: boolean) {
    this.#queues.setBlocked(this.#queueId, isBlocked);
  }

  /** How many entries wait: publications and control frames. */
  get size(): number {
    return this.#queues.size(this.#queueId);
  }

  /** How many entries it has memory for at the moment. */
  get capacity(): number {
    return this.#queues.capacity(this.#queueId);
  }

  /** How many publications wait; never more than the limit's slots. */
  get depth(): number {
    return this.#queues.publications(this.#queueId);
  }

  /** How many bytes of publications wait. */
  get bytes(): number {
    return this.#queues.bytes(this.#queueId);
  }

  /** Whether the client is owed publications or notices that its queue does not hold. All publications are refused meanwhile. */
  get isBehind(): boolean {
    return this.#backlog !== undefined;
  }

  /** The `seq` that the latest publication took; 0 before the first. */
  get lastSequence(): number {
    return this.#queues.lastSequence(this.#queueId);
  }

  /**
   * Gives a publication the next `seq`, and queues it if there is room. It must be the latest in the log.
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
   * Remembers that the queue refused a publication, which must be the latest in the log. Returns `slow` if the client must be
   * disconnected for it.
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
   * Queues a control frame, in order with the publications but in slots of its own. Returns `slow` if there is no room for
   * the frame: the client sends requests faster than it reads the answers.
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
   * Keeps a notice behind all that the client is owed, until {@link takeLosses} returns it. All publications that are offered
   * until then are refused.
   */
  defer(notice: Notice): void {
    this.#fallBehind().defer(notice);
  }

  /**
   * Queues a notice now, as {@link offerControl} does. If there is no room for it, it is kept: {@link takeLosses} returns it
   * before all that the client is owed, and nothing of its channel overtakes it.
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
   * Promises a replay: reserves the client's next sequence numbers for it and holds its excerpt. {@link catchUp} queues it
   * before anything that is offered from now on. The caller must flush.
   */
  replay(replay: Replay): void {
    this.#fallBehind().scheduleReplay(replay);
    this.#queues.reserveSequences(this.#queueId, replay.count);
  }

  /** Drops what the client is owed of a channel that it no longer receives. What is queued is still sent. */
  leave(channel: string): void {
    this.#backlog?.leave(channel);
  }

  /** Ends what the client is owed: nothing more will be offered. See {@link Backlog.close}. */
  close(epochOf: (channel: string) => string | undefined): void {
    this.#backlog?.close(epochOf);
  }

  /** Whether a publication whose body has this many bytes would be queued now, and not refused. */
  hasRoomFor(bytes: number): boolean {
    const { slots, bytes: mostBytes } = this.#queues.limits;
    return !this.isBehind && this.depth < slots && this.bytes + bytes <= mostBytes;
  }

  /** Whether the publication that took this `seq` may still wait. False for 0, which stands for none. */
  mayHold(sequence: number): boolean {
    return sequence > 0 && (this.isBehind || this.depth > this.lastSequence - sequence);
  }

  /** Whether the client was promised a replay of which some is not queued yet. */
  get owesReplay(): boolean {
    return this.#backlog?.owesReplay === true;
  }

  /** Whether the client is owed publications or notices of this channel that its queue does not hold. */
  misses(channel: string): boolean {
    return this.#backlog?.misses(channel) === true;
  }

  /** The next entry: a publication's body or a control frame; undefined when nothing waits. */
  peek(): Uint8Array | undefined {
    return this.#queues.peek(this.#queueId);
  }

  /** See {@link SendQueues.touchNext}. */
  touchNext(): number {
    return this.#queues.touchNext(this.#queueId);
  }

  /** Hands over the next entries; see {@link SendQueues.drainInto}. */
  drainInto(taker: EntryTaker, aheadBytes = 0): void {
    const publications = this.#queues.drainInto(this.#queueId, taker, aheadBytes);
    if (publications > 0 && this.depth === 0 && this.#backlog === undefined) this.#keepsUp();
  }

  /**
   * Takes what was lost since the last call, once half of the room is free. The caller must queue a `gap` for each loss, in
   * order, before it does anything else. Returns undefined if nothing was lost, if the log still holds all of it, or
   * if there is no room yet.
   */
  takeLosses(): readonly Loss[] | undefined {
    if (this.#backlog === undefined || !this.#isHalfFree()) return undefined;
    const losses = this.#backlog.takeLosses();
    this.#endBacklogWhenOver();
    return losses;
  }

  /**
   * Queues refused publications that the log still holds, once half of the room is free, each under the `seq` that it took when
   * it was refused. Call it after the gaps of {@link takeLosses} were queued. Returns how many it queued; there may be more
   * while {@link isBehind}.
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
   * Whether publications have waited too long, so that the client must be disconnected. A client that is late but has lost
   * nothing yet is spared once until it keeps up again: it gets a gap in place of what it missed, and continues from
   * there. A client that was promised a replay is not spared: it gets what it was promised, or its connection ends.
   *
   * @param now ms on the clock that all calls share.
   */
  isLate(now: number): boolean {
    const behindSince = this.#queues.behindSince(this.#queueId);
    if (!lagsTooLong(behindSince, this.#policy, now)) return false;
    if (this.#isSpared || this.owesReplay || this.#backlog?.isWhole !== true) return true;
    this.#isSpared = true;
    this.#backlog.abandon();
    this.#queues.setBehindSince(this.#queueId, now);
    return false;
  }

  /** Drops all that waits and all that is owed. */
  clear(): void {
    this.#forgetBacklog();
    this.#queues.clear(this.#queueId);
    this.#pace.refusalsInARow = 0;
    this.#keepsUp();
  }

  /** Drops all that waits and all that is owed, and gives up the queue. Nothing may be offered from now on. */
  end(): void {
    this.#forgetBacklog();
    this.#queueId = this.#queues.removeQueue(this.#queueId);
  }

  /** How many control frames wait. */
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

  /** Makes the queue refuse every publication until the backlog is over. */
  #fallBehind(): Backlog {
    this.#queues.setBehind(this.#queueId, true);
    this.#backlog ??= new Backlog(this.#publicationLog);
    return this.#backlog;
  }

  /** Ends the backlog if it is over. Publications are queued again from then on. */
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
