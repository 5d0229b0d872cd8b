import { isHole, type Replay } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import { type Rate, TokenBucket } from '@tradewind/runtime';
import { END_OF_CHANNEL } from '../feed.ts';
import type { LimitGuard } from '../limits.ts';
import type { Connection } from './connection.ts';
import type { ReplayPlan } from './replay-plan.ts';
import type { ReplaySource } from './replay-source.ts';
import type { PendingSubscription } from './subscribed-channel.ts';

/**
 * What a publication of history is charged before it is read, in bytes: a trade with its frame. When it is replayed, what it
 * took is charged instead.
 */
const EXPECTED_PUBLICATION_BYTES = 512;

/** What a replayed publication takes beside its body, in bytes: the frame's header and `{"seq":` with a number. */
const FRAME_BYTES = 16;

/** What a `gap` takes in its place, in bytes. */
const GAP_BYTES = 128;

/**
 * Charges connections for what they are replayed. Reading costs Redis as much as sending costs this node, so what is to be
 * read is charged when it is asked for. What was charged is sent, though the budget may be used up by then: nothing is read
 * in vain, and the next replay waits for longer.
 */
export class ReplayCharges {
  readonly #rate: Rate;
  readonly #guard: LimitGuard;
  readonly #clock: () => number;

  /** @param clock of the connections' budgets, in ms. */
  constructor(rate: Rate, guard: LimitGuard, clock: () => number) {
    this.#rate = rate;
    this.#guard = guard;
    this.#clock = clock;
  }

  /** Whether a connection may have what is planned for it; charges what Redis has to be asked for. */
  admits(
    connection: Connection,
    waiting: PendingSubscription,
    history: ReplaySource,
    plan: ReplayPlan,
  ): boolean {
    if (waiting.chargedBytes > 0) return true;
    const mustRead = plan.kind === 'read';
    if (mustRead ? plan.from === END_OF_CHANNEL : plan.offsets === 0) return true;
    const now = this.#clock();
    connection.session.replayBudget ??= new TokenBucket(this.#rate, now);
    const { replayBudget } = connection.session;
    if (!replayBudget.take(now, 0) && this.#guard.refuses('replay')) return false;
    if (mustRead) {
      const count = (history.position?.offset ?? 0) - plan.from + 1;
      waiting.chargedBytes = count * EXPECTED_PUBLICATION_BYTES;
      replayBudget.charge(now, waiting.chargedBytes);
    }
    return true;
  }

  /**
   * Charges what is sent instead of what was expected. What Redis was asked for in vain is given back only if Redis did
   * not answer.
   *
   * @param reason why not all is replayed, if so.
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

/** What a client is sent of it, in bytes. */
function bytesOf({ excerpt, firstIndex, endIndex }: Replay): number {
  let bytes = 0;
  for (let at = firstIndex; at < endIndex; at += 1) {
    const item = excerpt.at(at);
    bytes += isHole(item) ? GAP_BYTES : FRAME_BYTES + item.body.length;
  }
  return bytes;
}
