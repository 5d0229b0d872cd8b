import { isHole, type Replay } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import { narrowedRate, type Rate, TokenBucket } from '@tradewind/runtime';
import type { LimitGuard } from '../../limits.ts';
import type { Connection } from '../connection/connection.ts';
import type { ReplayPlan } from '../replay/replay-plan.ts';
import type { ReplaySource } from '../replay/replay-source.ts';
import type { Session } from '../session/session.ts';
import type { PendingSubscription } from './subscribed-channel.ts';

/**
 * The charge for a publication before it is read, in bytes: a trade with its frame. Its real size replaces the charge once the
 * publication is replayed.
 */
const EXPECTED_PUBLICATION_BYTES = 512;

/** The bytes that a replayed publication takes besides its body: the frame's header and `{"seq":` with a number. */
const FRAME_BYTES = 16;

/** The bytes of a `gap` in place of a publication. */
const GAP_BYTES = 128;

/**
 * Charges clients for their replays. A read costs Redis as much as the replay costs this node, so a read is charged when it
 * begins. A replay that was charged is sent even if the budget is used up by then. So no read is wasted, and the next replay
 * waits longer.
 */
export class ReplayCharges {
  readonly #rate: Rate;
  readonly #guard: LimitGuard;
  readonly #clock: () => number;

  /** @param clock of the clients' replay budgets, in ms. */
  constructor(rate: Rate, guard: LimitGuard, clock: () => number) {
    this.#rate = rate;
    this.#guard = guard;
    this.#clock = clock;
  }

  /** Whether the client's budget allows this plan. If it does and the plan is a read, charges the read. */
  admits(
    connection: Connection,
    pending: PendingSubscription,
    source: ReplaySource,
    plan: ReplayPlan,
  ): boolean {
    if (pending.chargedBytes > 0) return true;
    if (plan.kind === 'confirm-end' || plan.kind === 'reject') return true;
    const mustRead = plan.kind === 'read';
    if (!mustRead && plan.offsets === 0) return true;
    const { session } = connection;
    if (!this.#hasRoom(session)) return false;
    if (mustRead) {
      const count = (source.position?.offset ?? 0) - plan.from + 1;
      pending.chargedBytes = count * EXPECTED_PUBLICATION_BYTES;
      this.#charge(session, pending.chargedBytes);
    }
    return true;
  }

  /**
   * Replaces the expected charge by one for the bytes that are sent. If there is no replay, the charge is refunded only if Redis
   * did not answer the read.
   *
   * @param reason why not all is replayed; undefined if all is.
   */
  chargeActual(
    { session }: Connection,
    { chargedBytes }: PendingSubscription,
    replay: Replay | undefined,
    reason: ErrorCode | undefined,
  ): void {
    if (replay !== undefined) this.#charge(session, bytesOf(replay) - chargedBytes);
    else if (reason === 'unavailable') this.#charge(session, -chargedBytes);
  }

  /** Whether a client's budget allows it to be told the references of another channel. If a read was charged, they were admitted with it. */
  admitsReference({ session }: Connection, { chargedBytes }: PendingSubscription): boolean {
    return chargedBytes > 0 || this.#hasRoom(session);
  }

  /** Charges a client for a reference that it is told, of this many bytes. */
  chargeReference({ session }: Connection, bytes: number): void {
    this.#charge(session, bytes);
  }

  /** Time until a client that {@link admits} refused may ask again, in ms. */
  waitMs({ session: { replayBudget, replayOwner } }: Connection): number {
    return Math.max(replayBudget?.waitMs(0) ?? 0, replayOwner?.waitMs('replay', 0) ?? 0);
  }

  #hasRoom(session: Session): boolean {
    const now = this.#clock();
    if (!this.#budgetOf(session, now).take(now, 0) && this.#guard.refuses('replay')) return false;
    const isShared = session.replayOwner?.take('replay', now, 0) ?? true;
    return isShared || !this.#guard.refuses('subject_replay');
  }

  #budgetOf(session: Session, now: number): TokenBucket {
    const rate = narrowedRate(this.#rate, session.rights.replayBytesPerSecond);
    session.replayBudget ??= new TokenBucket(rate, now);
    session.replayBudget.changeRate(now, rate);
    return session.replayBudget;
  }

  #charge({ replayBudget, replayOwner }: Session, bytes: number): void {
    const now = this.#clock();
    replayBudget?.charge(now, bytes);
    replayOwner?.charge('replay', now, bytes);
  }
}

/** The bytes that a client is sent by a replay. */
function bytesOf({ excerpt, firstIndex, endIndex }: Replay): number {
  let bytes = 0;
  for (let at = firstIndex; at < endIndex; at += 1) {
    const item = excerpt.at(at);
    bytes += isHole(item) ? GAP_BYTES : FRAME_BYTES + item.body.length;
  }
  return bytes;
}
