import type { DemoState } from '../demo/demo.ts';

/** How many trades were lost, doubled or out of order. */
export function faults({ outOfOrder, duplicates, missing }: DemoState): number {
  return outOfOrder + duplicates + missing;
}

/** Minutes and seconds. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** A dash for what is not known. */
export function figure(value: number | undefined, decimals = 0): string {
  return value === undefined ? '–' : value.toFixed(decimals);
}
