/** Numbers as people read them; `–` means unknown. */

const UNKNOWN = '–';

/** Digits in groups: `35,000`. */
export function countText(value: number | undefined): string {
  return value === undefined ? UNKNOWN : Math.round(value).toLocaleString('en-US');
}

/** Three significant digits below a thousand, whole numbers above. */
export function shortText(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (Math.abs(value) >= 1_000) return countText(value);
  return String(Number(value.toPrecision(3)));
}

/** Milliseconds. */
export function msText(value: number | undefined): string {
  return value === undefined ? UNKNOWN : `${shortText(value)} ms`;
}

/** Bytes, in the largest unit of 1,024s that fits. */
export function bytesText(value: number | undefined): string {
  if (value === undefined) return UNKNOWN;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let rest = value;
  while (Math.abs(rest) >= 1_024 && unit < units.length - 1) {
    rest /= 1_024;
    unit += 1;
  }
  return `${shortText(rest)} ${units[unit]}`;
}
