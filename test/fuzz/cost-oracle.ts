/** Counts up to a moment; they only grow. */
export interface TrafficSample {
  /** On a monotonic clock, in ms. */
  readonly atMs: number;
  /** Bytes from all clients, or from one. */
  readonly inBytes: number;
  /** Bytes that these made the service read or send. */
  readonly outBytes: number;
}

/** The allowed output: in one burst, a second, and for each byte of input. */
export interface TrafficAllowance {
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
  readonly bytesPerByte: number;
}

/** The output of a window, and the allowed output. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
  readonly inBytes: number;
  readonly outBytes: number;
  readonly allowedBytes: number;
}

/** The time over which bytes are compared, in ms. */
const WINDOW_MS = 10_000;

/**
 * Returns the window of ten seconds, or of the whole time if that is shorter, that came closest to its allowance or
 * exceeded it most. Undefined if there are fewer than two samples.
 *
 * @param samples oldest first.
 * @param lagMs how long before the window a request may have been sent whose answer lies in it.
 */
export function worstWindow(
  samples: readonly TrafficSample[],
  allowance: TrafficAllowance,
  lagMs: number,
): Window | undefined {
  let worst: Window | undefined;
  for (const to of samples.slice(1)) {
    const from = samples.findLast(({ atMs }) => atMs <= to.atMs - WINDOW_MS) ?? samples[0]!;
    const asked = samples.findLast(({ atMs }) => atMs <= from.atMs - lagMs) ?? samples[0]!;
    const inBytes = to.inBytes - asked.inBytes;
    const seconds = (to.atMs - from.atMs) / 1_000;
    const window = {
      fromMs: from.atMs,
      toMs: to.atMs,
      inBytes,
      outBytes: to.outBytes - from.outBytes,
      allowedBytes:
        allowance.burstBytes +
        allowance.bytesPerSecond * seconds +
        allowance.bytesPerByte * inBytes,
    };
    if (worst === undefined || usedShare(window) > usedShare(worst)) worst = window;
  }
  return worst;
}

/** The used share of the allowance: more than 1 is too much. */
export function usedShare({ outBytes, allowedBytes }: Window): number {
  return outBytes / allowedBytes;
}
