/** A place in a channel's history. Both belong to the channel and are the same on every node. */
export interface Position {
  /** Which life of the channel: `[A-Za-z0-9]{1,16}`, opaque. */
  readonly epoch: string;
  /** The publication's number in that life, from 1; 0 is before the first. At most 2^53−1. */
  readonly offset: number;
}

const EPOCH_GRAMMAR = /^[A-Za-z0-9]{1,16}$/;

/** Whether `value` is an epoch as a client may name one. */
export function isEpoch(value: unknown): value is string {
  return typeof value === 'string' && EPOCH_GRAMMAR.test(value);
}

/** Whether `value` is an offset: an integer from 0 to 2^53−1. */
export function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
