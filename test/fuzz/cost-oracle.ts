/** What was counted up to a moment; it only grows. */
export interface TrafficSample {
  /** On a monotonic clock, in ms. */
  readonly atMs: number;
  /** Bytes that came from clients, or from one. */
  readonly inBytes: number;
  /** Bytes that this made the service read, or send. */
  readonly outBytes: number;
}

/** What may go out: at once, with time, and for each byte that came in. */
export interface TrafficAllowance {
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
  readonly bytesPerByte: number;
}

/** What went out in a window, and what might have. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
  readonly inBytes: number;
  readonly outBytes: number;
  readonly allowedBytes: number;
}

/** The time over which bytes are held against one another, in ms. */
const WINDOW_MS = 10_000;

/**
 * The window of ten seconds, or of all the time if that is less, that came closest to what is allowed, or went
 * furthest beyond it; undefined without two samples.
 *
 * @param samples oldest first.
 * @param lagMs for how long before the window something may have been sent that is answered in it.
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

/** How much of what is allowed went out: above 1 it was too much. */
export function usedShare({ outBytes, allowedBytes }: Window): number {
  return outBytes / allowedBytes;
}
