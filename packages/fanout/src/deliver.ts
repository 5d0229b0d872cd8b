import type { Outbox } from './outbox.ts';
import type { Publication } from './publication.ts';

/** Someone who receives publications: for this package, an outbox. */
export interface Subscriber {
  readonly outbox: Outbox;
}

/**
 * What delivering left to do. The caller owns it, acts on it when {@link deliver} has returned, and
 * empties the lists; the delivery loop itself neither writes to a socket nor closes one.
 */
export interface DeliveryRound<S> {
  /** Something waits for these now: flush them at the end of the loop turn. */
  readonly dirty: S[];
  /** These are full although their sockets take bytes: flush them before the next publication. */
  readonly brimming: S[];
  /** These did not keep up: disconnect them. */
  readonly slow: S[];
  /** Publications refused so far; the caller may reset it. */
  refused: number;
}

/** An empty round. */
export function createDeliveryRound<S>(): DeliveryRound<S> {
  return { dirty: [], brimming: [], slow: [], refused: 0 };
}

/**
 * Gives one publication to each of these subscribers: a reference into their outboxes, no more.
 *
 * @param subscribers from the index; it must not change meanwhile.
 * @param now ms on the clock that all calls share.
 */
export function deliver<S extends Subscriber>(
  publication: Publication,
  subscribers: readonly S[],
  now: number,
  round: DeliveryRound<S>,
): void {
  for (let i = 0; i < subscribers.length; i += 1) {
    const subscriber = subscribers[i] as S;
    const verdict = subscriber.outbox.offer(publication, now);
    if (verdict === 'queued') continue;
    if (verdict === 'first') {
      round.dirty.push(subscriber);
    } else if (verdict === 'brim') {
      round.brimming.push(subscriber);
    } else {
      round.refused += 1;
      if (verdict === 'slow') round.slow.push(subscriber);
    }
  }
}
