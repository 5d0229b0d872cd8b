import { PUBLISH_SCRIPT, publishArguments, publishKeys } from '@tradewind/bus';
import { recordedTrades } from '../../../test/support/publications/trades.ts';
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
 * due, and the trades that fit: `{"t":1795416898073123,"trades":[…],"p":"…"}`. Several are encoded once, with other trades each, and used in turn; only
 * the digits change.
 */
export class PublishCommand {
  /** One of the commands. All have the same length. */
  readonly bytes: Buffer;
  readonly #commands: readonly Buffer[];
  readonly #timeAt: number;
  #next = 0;

  /**
   * @param payloadBytes at least {@link MIN_PAYLOAD_BYTES}.
   * @param sequenced publishes by EVALSHA of the publish script on these terms; if undefined, by PUBLISH.
   */
  constructor(channel: string, payloadBytes: number, sequenced?: SequencedTerms) {
    const payloads = payloadsOf(payloadBytes);
    this.#commands = payloads.map((payload) =>
      encodeCommand(
        sequenced === undefined
          ? ['PUBLISH', channel, payload]
          : scriptCall(channel, payload, sequenced),
      ),
    );
    this.bytes = this.#commands[0] as Buffer;
    this.#timeAt = this.bytes.indexOf(payloads[0] as string) + TIME_PREFIX.length;
  }

  /** Copies the command to `at` with this time in it, in µs since the Unix epoch; returns its end. */
  writeTo(target: Buffer, at: number, micros: number): number {
    target.set(this.#commands[this.#next] as Buffer, at);
    this.#next = (this.#next + 1) % this.#commands.length;
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
 * Payloads with different trades, so that an edge that deflates each against another one finds in it what it would find in trades. 2,000 channels
 * with commands of 600 bytes take 20 MB.
 */
const PAYLOADS = 16;

const TRADES_PREFIX = ',"trades":[';

/** Trades as an exchange printed them. A payload of one long string would mislead: it is parsed and encoded several times faster. */
const TRADES = recordedTrades();

function payloadsOf(bytes: number): readonly string[] {
  if (bytes < MIN_PAYLOAD_BYTES) throw new RangeError(`no time fits into ${bytes} bytes`);
  return Array.from({ length: PAYLOADS }, (_, nth) => payloadOf(bytes, nth));
}

function payloadOf(bytes: number, nth: number): string {
  let head = TIME_PREFIX + '0'.repeat(TIME_DIGITS);
  const room = bytes - head.length - TRADES_PREFIX.length - 2;
  const trades: string[] = [];
  let used = -1;
  const at = (nth * TRADES.length) / PAYLOADS;
  for (let i = Math.floor(at); ; i = (i + 1) % TRADES.length) {
    const trade = TRADES[i] as string;
    used += 1 + trade.length;
    if (used > room) break;
    trades.push(trade);
  }
  if (trades.length > 0) head += `${TRADES_PREFIX}${trades.join(',')}]`;
  const filler = bytes - head.length - FILLER_PREFIX.length - FILLER_SUFFIX.length;
  if (filler < 0) return `${head.padEnd(bytes - 1)}}`;
  return `${head}${FILLER_PREFIX}${'x'.repeat(filler)}${FILLER_SUFFIX}`;
}
