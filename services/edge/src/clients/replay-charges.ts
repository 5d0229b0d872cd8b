import { isHole, type Replay } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import { type Rate, TokenBucket } from '@tradewind/runtime';
import type { LimitGuard } from '../limits.ts';
import type { Connection } from './connection.ts';
import type { ReplayPlan } from './replay-plan.ts';
import type { ReplaySource } from './replay-source.ts';
import type { PendingSubscription } from './subscribed-channel.ts';

/**
 * The charge for a publication before it is read, in bytes: a trade with its frame. Once it is replayed, its real size is
 * charged instead.
 */
const EXPECTED_PUBLICATION_BYTES = 512;

/** The bytes that a replayed publication takes beside its body: the frame's header and `{"seq":` with a number. */
const FRAME_BYTES = 16;

/** The bytes of a `gap` in place of a publication. */
const GAP_BYTES = 128;

/**
 * Charges clients for their replays. Reading costs Redis as much as sending costs this node, so a read is charged when it
 * begins. A replay that was charged is sent even if the budget is used up by then. So nothing is read in vain, and the
 * next replay waits for longer.
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

  /** Whether the client's budget allows this plan. Charges the read, if the plan is one. */
  admits(
    connection: Connection,
    pending: PendingSubscription,
    source: ReplaySource,
    plan: ReplayPlan,
  ): boolean {
    if (pending.chargedBytes > 0) return true;
    if (plan.kind === 'confirm-end') return true;
    const mustRead = plan.kind === 'read';
    if (!mustRead && plan.offsets === 0) return true;
    const now = this.#clock();
    connection.session.replayBudget ??= new TokenBucket(this.#rate, now);
    const { replayBudget } = connection.session;
    if (!replayBudget.take(now, 0) && this.#guard.refuses('replay')) return false;
    if (mustRead) {
      const count = (source.position?.offset ?? 0) - plan.from + 1;
      pending.chargedBytes = count * EXPECTED_PUBLICATION_BYTES;
      replayBudget.charge(now, pending.chargedBytes);
    }
    return true;
  }

  /**
   * Replaces the expected charge by that of the bytes that are sent. A read without a replay is given back only if Redis
   * did not answer it.
   *
   * @param reason why not all is replayed; undefined if all is.
   */
  chargeActual(
    { session: { replayBudget } }: Connection,
    { chargedBytes }: PendingSubscription,
    replay: Replay | undefined,
    reason: ErrorCode | undefined,
  ): void {
    if (replay !== undefined) replayBudget?.charge(this.#clock(), bytesOf(replay) - chargedBytes);
    else if (reason === 'unavailable') replayBudget?.charge(this.#clock(), -chargedBytes);
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
