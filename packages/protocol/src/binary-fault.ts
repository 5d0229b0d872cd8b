/** What is wrong with a binary frame, or with a message that belongs to it. */
export type BinaryFaultCode =
  /** The frame ends inside a field. */
  | 'truncated'
  /** A number takes more bytes than it needs, or more than 2^53−1 does. */
  | 'bad_varint'
  /** A number is larger than 2^53−1. */
  | 'number_too_large'
  /** `seq`, `ref` or `offset` is 0. */
  | 'zero'
  /** A flag is set that this version does not know, or a reference is named although nothing is deflated. */
  | 'bad_flags'
  /** The time is before 1970 or later than 2^53−1 ms. */
  | 'bad_time'
  /** The frame has no payload. A JSON text has one byte at least. */
  | 'empty'
  /** The payload is larger than the node announced. */
  | 'too_large'
  /** No channel has this `ref`. */
  | 'unknown_channel'
  /** The channel has no such reference, or no longer. */
  | 'unknown_reference'
  /** The payload cannot be inflated. */
  | 'bad_deflate'
  /** `subscribed` lacks what binary frames need, or has it twice. */
  | 'bad_subscribed'
  /** A `reference` message has no valid `id` or `data`, or more than a reference may have. */
  | 'bad_reference';

/** Thrown for a frame that a node must never send. The client must end the connection. */
export class BinaryFrameError extends Error {
  override readonly name = 'BinaryFrameError';
  readonly code: BinaryFaultCode;

  constructor(code: BinaryFaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
