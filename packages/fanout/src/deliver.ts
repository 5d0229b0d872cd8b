import type { Outbox } from './outbox.ts';
import type { Publication } from './publication.ts';
import { QueueOutcomes } from './queue-outcomes.ts';
import type { SendQueues } from './send-queues.ts';
import type { Audience, QueueOwner } from './subscription-index.ts';

/** Someone who receives publications: for this package, an outbox and the number of its queue. */
export interface Subscriber extends QueueOwner {
  readonly outbox: Outbox;
}

/**
 * What a delivery leaves its caller to do. The caller owns it, acts on it once {@link deliver} has returned, and empties the lists.
 * The delivery loop itself neither writes to a socket nor closes one.
 */
export interface DeliveryRound<S> {
  /** Their queues were empty and hold something now. Flush them at the end of the turn of the event loop. */
  readonly dirty: S[];
  /** These are nearly full although their sockets take bytes. Flush them before the next publication. */
  readonly nearlyFull: S[];
  /** These did not keep up. Disconnect them. */
  readonly slow: S[];
  /** How many publications were refused so far. The caller may reset it. */
  refused: number;
  /** Valid during a delivery only. */
  readonly outcomes: QueueOutcomes;
}

/** A round in which nothing is left to do. */
export function createDeliveryRound<S>(): DeliveryRound<S> {
  return { dirty: [], nearlyFull: [], slow: [], refused: 0, outcomes: new QueueOutcomes() };
}

/**
 * Gives one publication to each of these subscribers: a reference in their queues, no more.
 *
 * @param audience from the index. It must not change meanwhile.
 * @param queues of the subscribers' outboxes.
 * @param now ms on the clock that all calls share.
 */
export function deliver<S extends Subscriber>(
  publication: Publication,
  { members, queueIds }: Audience<S>,
  queues: SendQueues,
  now: number,
  round: DeliveryRound<S>,
): void {
  const { outcomes } = round;
  outcomes.clear();
  queues.offer(queueIds, publication.body, now, outcomes);
  for (let i = 0; i < outcomes.count; i += 1) {
    const subscriber = members[outcomes.positions[i] as number] as S;
    const verdict = outcomes.verdicts[i];
    if (verdict === 'wasIdle') {
      round.dirty.push(subscriber);
    } else if (verdict === 'nearlyFull') {
      round.nearlyFull.push(subscriber);
    } else {
      round.refused += 1;
      if (subscriber.outbox.refuse(publication, now) === 'slow') round.slow.push(subscriber);
    }
  }
}
