/** Blocks of one to eight eighths: of a column's width, and of its height. */
const WIDTHS = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const HEIGHTS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

const EIGHTHS = 8;

/** A bar of at most `columns` columns, `value` of `most` long. */
export function bar(value: number, most: number, columns: number): string {
  if (most <= 0) return '';
  const eighths = Math.round((Math.min(value, most) / most) * columns * EIGHTHS);
  const rest = eighths % EIGHTHS;
  return '█'.repeat(Math.floor(eighths / EIGHTHS)) + (rest === 0 ? '' : WIDTHS[rest - 1]);
}

/** The last `columns` values as columns of one line, the highest of them full. */
export function spark(values: readonly number[], columns: number): string {
  const shown = values.slice(-columns);
  const most = Math.max(...shown, 1);
  return shown
    .map((value) => HEIGHTS[Math.max(0, Math.ceil((value / most) * EIGHTHS) - 1)])
    .join('');
}

/** The last `columns` values as columns of `rows` lines, the highest line first and the latest value rightmost. */
export function chart(values: readonly number[], columns: number, rows: number): string[] {
  const shown = values.slice(-columns);
  const most = Math.max(...shown, 1);
  const eighths = shown.map((value) => Math.round((value / most) * rows * EIGHTHS));
  return Array.from({ length: rows }, (_, row) => {
    const below = (rows - 1 - row) * EIGHTHS;
    return eighths
      .map((high) => (high <= below ? ' ' : HEIGHTS[Math.min(EIGHTHS, high - below) - 1]))
      .join('')
      .padStart(columns);
  });
}
