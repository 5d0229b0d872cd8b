import type { RatioSummary } from './ratio.ts';

/** Formats rows in columns as wide as their widest cell; all but the first are aligned to the right. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [line(header), rule, ...rows.map(line)].join('\n');
}

/** Three significant digits with thousands separators: `4,120,000`, `17.3`, `0.94`; `-` for no number. */
export function formatNumber(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

/** A whole percentage. */
export function formatShare(share: number): string {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : '-';
}

/** One line: the median ratio, its interval, and its confidence; a single pair has no interval. */
export function formatRatio(label: string, ratio: RatioSummary, digits = 3): string {
  const { confidence } = ratio;
  const [median, low, high] = [ratio.median, ratio.low, ratio.high].map((x) => x.toFixed(digits));
  if (confidence === 0) return `${label}: ${median} (too few pairs for an interval)`;
  const sure = `${(confidence * 100).toFixed(1)} %`;
  return `${label}: ${median} (${low} to ${high}, ${sure})`;
}
