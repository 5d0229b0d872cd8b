/** A position in a channel's history. It is the same on every node. */
export interface Position {
  /** Which run of offsets: `[A-Za-z0-9]{1,16}`, opaque. A channel whose offsets begin anew gets another epoch. */
  readonly epoch: string;
  /** The publication's number in that epoch, from 1 to 2^53−1; 0 is before the first. */
  readonly offset: number;
}

const EPOCH_GRAMMAR = /^[A-Za-z0-9]{1,16}$/;

/** Whether `value` is an epoch: `[A-Za-z0-9]{1,16}`. */
export function isEpoch(value: unknown): value is string {
  return typeof value === 'string' && EPOCH_GRAMMAR.test(value);
}

/** Whether `value` is an offset: an integer from 0 to 2^53−1. */
export function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
