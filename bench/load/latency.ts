import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from 'hdr-histogram-js';

/** Latencies above this count as this, in µs: ten minutes. */
const MAX_MICROSECONDS = 600_000_000;

/** Latencies in µs, to three significant digits. */
export function createLatencyHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MAX_MICROSECONDS,
    numberOfSignificantValueDigits: 3,
  });
}

/** Clocks of two processes may differ by a few µs: what arrives before it was sent took 1 µs. */
export function recordLatency(histogram: Histogram, microseconds: number): void {
  histogram.recordValue(Math.min(MAX_MICROSECONDS, Math.max(1, Math.round(microseconds))));
}

/** A histogram as it travels between processes; undefined when nothing was recorded. */
export function encodeLatency(histogram: Histogram): string | undefined {
  return histogram.totalCount === 0 ? undefined : encodeIntoCompressedBase64(histogram);
}

export function addEncodedLatency(total: Histogram, encoded: string | undefined): void {
  if (encoded !== undefined) total.add(decodeFromCompressedBase64(encoded));
}

/** In ms, to three significant digits. */
export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** How many latencies these are of. */
  readonly samples: number;
}

/** Undefined when nothing was recorded. */
export function percentilesOf(histogram: Histogram): Percentiles | undefined {
  if (histogram.totalCount === 0) return undefined;
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1_000;
  return {
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: histogram.maxValue / 1_000,
    samples: histogram.totalCount,
  };
}

const TIME_KEY = Buffer.from('"t":');
/** Digits of µs since 1970; 16 until the year 2286. */
const LONGEST_TIME_DIGITS = 17;

/**
 * When a publication was to be sent, in µs since the Unix epoch: the number behind the first
 * `"t":` in its beginning. Undefined when there is none.
 */
export function readSentTime(start: Buffer): number | undefined {
  const key = start.indexOf(TIME_KEY);
  if (key === -1) return undefined;
  const from = key + TIME_KEY.length;
  const text = start.toString('latin1', from, Math.min(start.length, from + LONGEST_TIME_DIGITS));
  const micros = Number.parseInt(text, 10);
  return Number.isNaN(micros) ? undefined : micros;
}
