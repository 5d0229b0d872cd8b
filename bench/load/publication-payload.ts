import { PUBLISH_SCRIPT, publishArguments, publishKeys } from '@tradewind/bus';
import type { SequencedTerms } from './publisher-plan.ts';
import { encodeCommand } from './redis-pipeline.ts';

/** Digits of µs since the Unix epoch, from 2001 to 2286. */
const TIME_DIGITS = 16;

const TIME_PREFIX = '{"t":';
const FILLER_PREFIX = ',"p":"';
const FILLER_SUFFIX = '"}';

/** The smallest payload that has room for a time, in bytes. */
export const MIN_PAYLOAD_BYTES = TIME_PREFIX.length + TIME_DIGITS + 1;

/**
 * The command that publishes a JSON payload of exactly `payloadBytes` bytes. The payload has the time at which it was
 * due, and the trades that fit: `{"t":1795416898073123,"trades":[…],"p":"…"}`. It is encoded once; only the digits
 * change.
 */
export class PublishCommand {
  readonly bytes: Buffer;
  readonly #timeAt: number;

  /**
   * @param payloadBytes at least {@link MIN_PAYLOAD_BYTES}.
   * @param sequenced publishes by EVALSHA of the publish script on these terms; if undefined, by PUBLISH.
   */
  constructor(channel: string, payloadBytes: number, sequenced?: SequencedTerms) {
    const payload = payloadOf(payloadBytes);
    this.bytes = encodeCommand(
      sequenced === undefined
        ? ['PUBLISH', channel, payload]
        : scriptCall(channel, payload, sequenced),
    );
    this.#timeAt = this.bytes.indexOf(payload) + TIME_PREFIX.length;
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

/** Has no idempotency key, because a failed connection ends the run. */
function scriptCall(
  channel: string,
  payload: string,
  { historySize, historyTtlMs }: SequencedTerms,
): readonly string[] {
  const terms = { historySize, historyTtlMs, idempotencyWindowMs: 0 };
  const args = publishArguments({ channel, payload, ...terms });
  return ['EVALSHA', PUBLISH_SCRIPT.sha, '2', ...publishKeys(channel), ...args.map(String)];
}

/**
 * One trade as an exchange prints it. A payload of one long string would mislead: it is parsed and encoded several
 * times faster than what people publish.
 */
const TRADE =
  '{"symbol":"ETH","id":"1206419187","ts":1675329600138,"side":"buy","price":"1666.8","size":"26.062"}';
const TRADES_PREFIX = ',"trades":[';

function payloadOf(bytes: number): string {
  if (bytes < MIN_PAYLOAD_BYTES) throw new RangeError(`no time fits into ${bytes} bytes`);
  let head = TIME_PREFIX + '0'.repeat(TIME_DIGITS);
  const room = bytes - head.length - TRADES_PREFIX.length - 2;
  const count = Math.floor((room + 1) / (TRADE.length + 1));
  if (count > 0) head += `${TRADES_PREFIX}${Array(count).fill(TRADE).join(',')}]`;
  const filler = bytes - head.length - FILLER_PREFIX.length - FILLER_SUFFIX.length;
  if (filler < 0) return `${head.padEnd(bytes - 1)}}`;
  return `${head}${FILLER_PREFIX}${'x'.repeat(filler)}${FILLER_SUFFIX}`;
}
