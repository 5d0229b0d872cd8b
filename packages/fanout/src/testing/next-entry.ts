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
