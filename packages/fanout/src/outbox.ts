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
 * - `queued`: nothing. It waits behind others.
 * - `wasIdle`: it waits, and nothing did before. Flush the client at the end of the turn.
 * - `nearlyFull`: it waits, and the next one may find no room although the socket takes bytes. Flush now.
 * - `refused`: nothing. There was no room, because the socket does not take bytes. The loss is remembered.
 * - `slow`: it was refused as well. Disconnect the client.
 */
export type OutboxVerdict = 'queued' | 'wasIdle' | 'nearlyFull' | 'refused' | 'slow';

/** What one client is sent of a publication, behind its number. */
export type BodyOf = (publication: Publication) => Uint8Array;

const sharedBody: BodyOf = ({ body }) => body;

/**
 * How many publications of the log one {@link Outbox.catchUp} looks at. Most of them may be of channels that this client does
 * not receive, so without a bound one client that is far behind would hold up the others.
 */
const CATCH_UP_LOOKS = 4_096;

/**
 * What one client must still be sent, in order: references to shared publications in a bounded number of slots, and
 * control frames between them. The part that a delivery needs is its queue, among the {@link SendQueues} of the worker. This is
 * the rest.
 *
 * Every publication takes the client's next `seq` when it is offered, even when it is refused. After a refusal all further
 * publications are refused, and remembered as a point in the worker's log, until the client has been given what it missed
 * ({@link catchUp}). What the log no longer holds is a hole in `seq`. The client is told of it once, before the next publication
 * of its channel ({@link takeLosses}).
 */
export class Outbox {
  readonly #queues: SendQueues;
  #queueId: number;
  #backlog: Backlog | undefined;
  /** Whether it was late and spared since it last kept up. */
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
   * @param bodyOf what this client is sent of a publication in the log or in a replay; the publication's body by default.
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

  /** Whether the client was neither given nor told of some of the publications that it was refused. */
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
   * Remembers that its queue refused a publication, which must be the latest in the log. Returns `slow` when that was once too often.
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
   * Queues a control frame, in order with the publications but in slots of its own. Returns `slow` when there is no room for
   * the frame: the client asks faster than it reads the answers.
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
   * Keeps a notice behind all that the client was refused or promised, until {@link takeLosses} returns it. Whatever is
   * offered from now on is refused until then.
   */
  defer(notice: Notice): void {
    this.#fallBehind().defer(notice);
  }

  /**
   * Queues a notice now, as {@link offerControl} does. When there is no room for it, it is kept, and {@link takeLosses} returns
   * it before all that the client is owed. Whatever follows of its channel stays behind it.
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
   * Promises a replay. It reserves the client's next sequence numbers, is held for the client, and {@link catchUp} queues it
   * before anything that is offered from now on. The caller must flush.
   */
  replay(replay: Replay): void {
    this.#fallBehind().scheduleReplay(replay);
    this.#queues.reserveSequences(this.#queueId, replay.count);
  }

  /** The client no longer receives a channel, and is never given what it was refused of it. */
  leave(channel: string): void {
    this.#backlog?.leave(channel);
  }

  /** Nothing more will be offered; see {@link Backlog.close}. */
  close(epochOf: (channel: string) => string | undefined): void {
    this.#backlog?.close(epochOf);
  }

  /** Whether a publication whose body has this many bytes would be queued now, and not refused. */
  hasRoomFor(bytes: number): boolean {
    const { slots, bytes: mostBytes } = this.#queues.limits;
    return !this.isBehind && this.depth < slots && this.bytes + bytes <= mostBytes;
  }

  /** Whether the publication that took this `seq` may still wait. 0 stands for none. */
  mayHold(sequence: number): boolean {
    return sequence > 0 && (this.isBehind || this.depth > this.lastSequence - sequence);
  }

  /** Whether the client was promised a replay that is not all queued yet. */
  get owesReplay(): boolean {
    return this.#backlog?.owesReplay === true;
  }

  /** Whether the client was neither given nor told of some publications of this channel that it was refused. */
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
   * Returns what was lost since the last call, once there is room to go on. The caller must queue a `gap` for each loss, in
   * order, before it does anything else. Returns undefined when nothing was lost, when the log still holds all of it, or
   * when there is no room yet.
   */
  takeLosses(): readonly Loss[] | undefined {
    if (this.#backlog === undefined || !this.#isHalfFree()) return undefined;
    const losses = this.#backlog.takeLosses();
    this.#endBacklogWhenOver();
    return losses;
  }

  /**
   * Queues refused publications that the log still holds, once there is room, each under the `seq` that it took when it was
   * refused. Call it after the gaps of {@link takeLosses} were queued. Returns how many it queued; there may be more while
   * {@link isBehind}.
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
   * Whether publications have waited too long. A client that is late but has lost nothing yet is spared once, until it keeps up:
   * it is told what it missed instead of being given it, and continues from there. A client that was promised a replay is not
   * spared: it gets what it was promised, or its connection ends.
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

  /** Forgets all that waits. */
  clear(): void {
    this.#forgetBacklog();
    this.#queues.clear(this.#queueId);
    this.#pace.refusalsInARow = 0;
    this.#keepsUp();
  }

  /** Forgets all that waits, for good. Nothing may be offered from now on. */
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

  /** Whatever is offered from now on is refused, until the backlog is over. */
  #fallBehind(): Backlog {
    this.#queues.setBehind(this.#queueId, true);
    this.#backlog ??= new Backlog(this.#publicationLog);
    return this.#backlog;
  }

  /** Ends the backlog when nothing of it is left. Whatever is offered from then on is queued again. */
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
