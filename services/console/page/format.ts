const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en-US', {
  notation: 'compact',
  maximumSignificantDigits: 3,
});

/** A whole number with separators: 152,341. */
export function whole(value: number): string {
  return WHOLE.format(value);
}

/** Three digits and a letter: 612K. */
export function short(value: number): string {
  return SHORT.format(value);
}

/** A share of 1 as a percentage. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

/** Bytes as people say them: 6.3 KB. */
export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let rest = value;
  let unit = 0;
  while (rest >= 1_000 && unit < units.length - 1) {
    rest /= 1_000;
    unit += 1;
  }
  return `${rest >= 100 || unit === 0 ? rest.toFixed(0) : rest.toPrecision(2)} ${units[unit]}`;
}

/** How long ago, in two units at most: 3 h 12 min. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The time of day of a moment, in ms of the wall clock. */
export function timeOfDay(at: number): string {
  return new Date(at).toLocaleTimeString('en-GB');
}

/** The time of day of a moment, with its date unless it is within the last twelve hours. */
export function sinceWhen(at: number, now: number): string {
  const isOld = now - at > 12 * 3_600_000;
  return isOld ? `${new Date(at).toLocaleDateString('sv-SE')} ${timeOfDay(at)}` : timeOfDay(at);
}

/** The time of day of a moment with milliseconds. */
export function timeOfDayMs(at: number): string {
  return `${timeOfDay(at)}.${String(Math.floor(at) % 1_000).padStart(3, '0')}`;
}

/** A rate a second, with digits where it is small: 0.25, 12.3, 1,234. */
export function rate(perSecond: number): string {
  if (perSecond >= 100) return whole(perSecond);
  if (perSecond === 0) return '0';
  return perSecond >= 10 ? perSecond.toFixed(1) : perSecond.toFixed(2);
}

/** How long ago a moment was: with a digit for what is younger than ten seconds. */
export function ago(ms: number): string {
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : duration(ms);
}

/** A price beside the axis, with the digits of a step between two marks. */
export function priceMark(value: number, step: number): string {
  // A step of 0.25 has two digits, although it is above 0.1.
  let digits = 0;
  while (digits < 12 && !isWhole(step * 10 ** digits)) digits += 1;
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function isWhole(value: number): boolean {
  return Math.round(value) > 0 && Math.abs(value - Math.round(value)) < 1e-6;
}
