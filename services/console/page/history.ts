import { computed, signal } from '@preact/signals';
import type { Snapshot } from '../src/fleet/fleet.ts';
import type { HistoryColumns } from '../src/fleet/fleet-history.ts';

/** Columns of equal length: `at` in s of the wall clock, then one column a figure. */
export type History = Readonly<Record<string, readonly (number | null)[]>>;

/** What charts show. */
export const RANGES = {
  minutes: { name: '15 min', words: '15 minutes', length: 900, step: 1 },
  day: { name: '24 h', words: '24 hours', length: 1_440, step: 60 },
} as const;
export type Range = keyof typeof RANGES;

export const range = signal<Range>('minutes');
export const seconds = signal<History>({});
const minutes = signal<History>({});

/** What is known, also while the page is frozen. */
let knownSeconds: History = {};
let knownMinutes: History = {};

/** What the charts show now. */
export const shown = computed<History>(() =>
  range.value === 'day' ? minutes.value : seconds.value,
);

/** The part of it that is zoomed into, in s of the wall clock. */
export const zoom = signal<readonly [from: number, to: number] | undefined>(undefined);

/** The shortest stretch that is zoomed into, in s. */
const SHORTEST_ZOOM = 30;

/** The stretch that charts show, in s of the wall clock. */
const stretch = computed<readonly [from: number, to: number]>(() => {
  const times = shown.value.at ?? [];
  return zoom.value ?? [times[0] ?? 0, times.at(-1) ?? 0];
});

/** Whether a shorter stretch can be shown. */
export const canZoomIn = computed(() => {
  const [from, to] = stretch.value;
  return to - from >= 2 * SHORTEST_ZOOM;
});

/** Shows the later half of what is shown now. */
export function zoomIn(): void {
  const [from, to] = stretch.value;
  zoom.value = [(from + to) / 2, to];
}

/** Shows what comes before or after, half as far as the stretch is long, and not beyond what is known. */
export function moveZoom(step: 1 | -1): void {
  const [from, to] = stretch.value;
  const times = shown.value.at ?? [];
  const [first, last] = [times[0] ?? 0, times.at(-1) ?? 0];
  const by = (step * (to - from)) / 2;
  const start = Math.max(first, Math.min(from + by, last - (to - from)));
  zoom.value = [start, start + to - from];
}

/** Begins with what the console remembers. */
export function beginHistory({ at, minuteAt, ...columns }: HistoryColumns): void {
  knownSeconds = columnsUpTo(at, columns.seconds, RANGES.minutes);
  // Before the first minute is over, the axis ends now.
  knownMinutes = columnsUpTo(minuteAt === 0 ? at : minuteAt, columns.minutes, RANGES.day);
}

/** Adds a second, which is unknown where the console did not see it, and a minute where one has ended. */
export function continueHistory({ at, isSeen, point, minute }: Snapshot): void {
  knownSeconds = append(knownSeconds, at, isSeen ? point : unknown(point), RANGES.minutes);
  const newest = knownMinutes.at?.at(-1) ?? 0;
  if (minute.figures === undefined || Math.floor(minute.at / 1_000) <= newest) return;
  knownMinutes = append(knownMinutes, minute.at, minute.figures, RANGES.day);
}

/** Draws what is known. */
export function showHistory(): void {
  seconds.value = knownSeconds;
  minutes.value = knownMinutes;
}

function unknown(point: object): object {
  return Object.fromEntries(Object.keys(point).map((name) => [name, null]));
}

function columnsUpTo(
  at: number,
  columns: History,
  { length, step }: { readonly length: number; readonly step: number },
): History {
  const newest = Math.floor(at / 1_000);
  const times = Array.from({ length }, (_, i) => newest - (length - 1 - i) * step);
  return { at: times, ...columns };
}

function append(
  before: History,
  at: number,
  point: object,
  { length, step }: { readonly length: number; readonly step: number },
): History {
  const times = before.at ?? [];
  const time = Math.floor(at / 1_000);
  const last = times.at(-1);
  // Seconds for which nothing came are unknown. A page that was hidden for long gets all anew.
  const skipped =
    last === undefined || last === null
      ? 0
      : Math.min(length, Math.max(0, Math.round((time - last) / step) - 1));
  const holes = Array.from({ length: skipped }, (_, i) => time - (skipped - i) * step);
  const next: Record<string, readonly (number | null)[]> = {
    at: [...times, ...holes, time].slice(-length),
  };
  const nothing = holes.map(() => null);
  for (const [name, value] of Object.entries(point as Record<string, number | null>)) {
    next[name] = [...(before[name] ?? []), ...nothing, value ?? null].slice(-length);
  }
  return next;
}
