/** Digits of µs since the Unix epoch, from 2001 to 2286. */
const TIME_DIGITS = 16;

const TIME_PREFIX = '{"t":';
const FILLER_PREFIX = ',"p":"';
const FILLER_SUFFIX = '"}';

/** The smallest payload that holds a time, in bytes. */
export const MIN_PAYLOAD_BYTES = TIME_PREFIX.length + TIME_DIGITS + 1;

/**
 * `PUBLISH` of a JSON payload of exactly `payloadBytes` bytes that says when it was to be sent:
 * `{"t":1795416898073123,"p":"…"}`. It is encoded once; only the digits change.
 */
export class PublishCommand {
  readonly bytes: Buffer;
  readonly #timeAt: number;

  /** @param payloadBytes at least {@link MIN_PAYLOAD_BYTES}. */
  constructor(channel: string, payloadBytes: number) {
    const payload = payloadOf(payloadBytes);
    const name = Buffer.byteLength(channel);
    const head = `*3\r\n$7\r\nPUBLISH\r\n$${name}\r\n${channel}\r\n$${payloadBytes}\r\n`;
    this.bytes = Buffer.from(`${head}${payload}\r\n`);
    this.#timeAt = Buffer.byteLength(head) + TIME_PREFIX.length;
  }

  /** Copies the command to `at` with this time in it, in µs since the Unix epoch; returns its end. */
  writeTo(target: Buffer, at: number, micros: number): number {
    target.set(this.bytes, at);
    let rest = Math.floor(micros);
    for (let digit = at + this.#timeAt + TIME_DIGITS - 1; digit >= at + this.#timeAt; digit -= 1) {
      const next = Math.floor(rest / 10);
      target[digit] = 0x30 + (rest - next * 10);
      rest = next;
    }
    return at + this.bytes.length;
  }
}

function payloadOf(bytes: number): string {
  if (bytes < MIN_PAYLOAD_BYTES) throw new RangeError(`no time fits into ${bytes} bytes`);
  const time = TIME_PREFIX + '0'.repeat(TIME_DIGITS);
  const filler = bytes - time.length - FILLER_PREFIX.length - FILLER_SUFFIX.length;
  if (filler < 0) return `${time.padEnd(bytes - 1)}}`;
  return `${time}${FILLER_PREFIX}${'x'.repeat(filler)}${FILLER_SUFFIX}`;
}
