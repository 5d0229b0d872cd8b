import { deflateRawSync, type ZlibOptions } from 'node:zlib';
import { type Rate, TokenBucket } from '@tradewind/runtime';

/**
 * The share of the main thread's time that deflating may take. At 7 to 9 µs for a trade of 100 to 400 bytes it suffices for 33,000
 * publications a second and more. The rest goes raw.
 */
const DEFLATE_SHARE = 0.3;

/**
 * The share while the thread is busy for more than {@link BUSY} of its time, when everything that it does delays something else. If
 * the fan-out runs in the same thread, 5 % suffice for the publications that go to hundreds of clients each, which saves more time
 * than it costs.
 */
const BUSY_SHARE = 0.05;
const BUSY = 0.9;

/** How often the utilization of the thread is read, in ms. */
const BUSY_CHECK_MS = 250;

/** The longest time that one turn of the event loop may spend on deflating, in ms. It delays everything else by as much. */
const DEFLATE_BURST_MS = 10;

/** The bytes that zlib keeps free in its window (`MIN_LOOKAHEAD`), so that it cannot refer back over the whole window. */
const ZLIB_LOOKAHEAD_BYTES = 262;

/**
 * zlib's default level for payloads of up to {@link LARGE_PAYLOAD_BYTES}: for trades a lower one saves no time. A larger payload
 * would take several ms at it, for which everything else waits.
 */
const LEVEL = 6;
const LARGE_LEVEL = 1;
const LARGE_PAYLOAD_BYTES = 8 * 1024;

/** The least `chunkSize` that Node's zlib allows, in bytes. */
const LEAST_CHUNK_BYTES = 64;

const SMALLEST_WINDOW_BITS = 9;
const LARGEST_WINDOW_BITS = 15;

/** When the reference of a channel is renewed. */
export interface ReferenceTerms {
  /** How many publications after a new reference measure what it leaves of them. */
  readonly sample: number;
  /** How many times the bytes of a new reference must have been wasted before the reference is renewed. */
  readonly price: number;
}

/** On recorded trades, samples of 8 to 32 and a price of a half give the same sizes within 1 byte. */
const USUAL_TERMS: ReferenceTerms = { sample: 16, price: 1 };

/** Why a publication went raw although a client wants it deflated. */
export type RawReason =
  /** The channel has nothing to deflate it against yet. */
  | 'first'
  /** It did not become smaller, or those before it did not. */
  | 'unshrinkable'
  /** Deflating has used up its share of the main thread's time. */
  | 'budget';

/** What deflating did so far on this node. The numbers only grow, and a scrape of the metrics reads them. */
export interface DeflateStatistics {
  deflated: number;
  /** New references of channels. */
  references: number;
  readonly raw: Record<RawReason, number>;
  /** Time spent, in ms. */
  ms: number;
}

/** Deflates the payloads of one node, within a share of its thread's time. */
export class PayloadDeflater {
  readonly statistics: DeflateStatistics = {
    ...{ deflated: 0, references: 0, ms: 0 },
    raw: { first: 0, unshrinkable: 0, budget: 0 },
  };
  readonly terms: ReferenceTerms;
  /** Its tokens are µs. */
  readonly #budget: TokenBucket;
  readonly #clock: () => number;
  readonly #utilization: () => number;
  #checkedAt: number;

  /**
   * @param clock returns ms that never go back.
   * @param utilization returns the share of the time for which the thread was busy since the last call.
   */
  constructor(
    clock = (): number => performance.now(),
    terms = USUAL_TERMS,
    utilization = utilizationOfLoop(),
  ) {
    this.#clock = clock;
    this.terms = terms;
    this.#utilization = utilization;
    this.#checkedAt = clock();
    this.#budget = new TokenBucket(rateOf(DEFLATE_SHARE), this.#checkedAt);
  }

  /** Whether there is time left for another payload. If it takes longer than that, the next ones wait longer. */
  get hasTime(): boolean {
    const now = this.#clock();
    if (now - this.#checkedAt >= BUSY_CHECK_MS) {
      this.#checkedAt = now;
      const isBusy = this.#utilization() > BUSY;
      this.#budget.changeRate(now, rateOf(isBusy ? BUSY_SHARE : DEFLATE_SHARE));
    }
    return this.#budget.take(now, 0);
  }

  /**
   * Deflates a payload: raw deflate, RFC 1951. Call it only while {@link hasTime}.
   *
   * @param dictionary the bytes before the payload that the stream may refer to; undefined for none.
   * @returns bytes that the caller owns. They may be more than the payload has.
   */
  deflate(payload: Uint8Array, dictionary: Uint8Array | undefined): Uint8Array {
    const begin = this.#clock();
    const bytes = deflateRawSync(payload, optionsFor(payload.length, dictionary));
    const end = this.#clock();
    this.statistics.ms += end - begin;
    this.#budget.charge(end, (end - begin) * 1_000);
    return bytes;
  }
}

function rateOf(share: number): Rate {
  return { perSecond: share * 1e6, burst: DEFLATE_BURST_MS * 1_000 };
}

function utilizationOfLoop(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/** The smallest memory that reaches all of the dictionary from all of the payload: zlib clears it for each stream. */
function optionsFor(payloadBytes: number, dictionary: Uint8Array | undefined): ZlibOptions {
  const reach = payloadBytes + (dictionary?.length ?? 0) + ZLIB_LOOKAHEAD_BYTES;
  const bits = 32 - Math.clz32(reach - 1);
  const windowBits = Math.min(LARGEST_WINDOW_BITS, Math.max(SMALLEST_WINDOW_BITS, bits));
  const options = {
    windowBits,
    memLevel: Math.max(1, windowBits - 7),
    level: payloadBytes > LARGE_PAYLOAD_BYTES ? LARGE_LEVEL : LEVEL,
    // The memory for the output, which is 16 KiB by default.
    chunkSize: Math.max(LEAST_CHUNK_BYTES, payloadBytes),
  };
  return dictionary === undefined ? options : { ...options, dictionary };
}
