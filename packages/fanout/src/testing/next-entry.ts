import type { Outbox } from '../outbox.ts';

/** Drops the next entry of an outbox, as if it had been written. Throws if nothing waits. */
export function shift(outbox: Outbox): void {
  if (outbox.size === 0) throw new RangeError('nothing waits');
  let isTaken = false;
  outbox.drainInto({
    take() {
      if (isTaken) return false;
      isTaken = true;
      return true;
    },
  });
}

/** The next entry's `seq`, or `CONTROL`; undefined if nothing waits. */
export function peekSequence(outbox: Outbox): number | undefined {
  let next: number | undefined;
  outbox.drainInto({
    take(_, sequence) {
      next = sequence;
      return false;
    },
  });
  return next;
}
