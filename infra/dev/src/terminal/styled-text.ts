/** What a text means; how it looks is decided in one place. */
export type Style = 'plain' | 'bold' | 'dim' | 'good' | 'warn' | 'bad' | 'accent' | 'key';

/** A piece of a line. Each of its characters takes one column. */
export interface Span {
  readonly text: string;
  readonly style: Style;
}

export type Line = readonly Span[];

/** The parameters of the escape sequence (SGR) of each style, in the sixteen colours that every theme of a terminal sets. */
const SEQUENCES: Readonly<Record<Style, string>> = {
  plain: '',
  bold: '1',
  dim: '2',
  good: '32',
  warn: '33',
  bad: '1;31',
  accent: '36',
  key: '7',
};

export function span(text: string, style: Style = 'plain'): Span {
  return { text, style };
}

/** How many columns a line takes. */
export function widthOf(line: Line): number {
  return line.reduce((sum, { text }) => sum + text.length, 0);
}

/** The line with at most `columns` columns; `…` stands where it was cut. */
export function fit(line: Line, columns: number): Line {
  if (widthOf(line) <= columns) return line;
  const kept: Span[] = [];
  let left = columns - 1;
  for (const { text, style } of line) {
    if (left <= 0) break;
    kept.push(span(text.slice(0, left), style));
    left -= text.length;
  }
  return [...kept, span('…', 'dim')];
}

/** The line with exactly `columns` columns. */
export function pad(line: Line, columns: number): Line {
  const fitting = fit(line, columns);
  return [...fitting, span(' '.repeat(columns - widthOf(fitting)))];
}

/** The line as a terminal takes it; without colours it is the bare text. */
export function toText(line: Line, hasColours: boolean): string {
  return line
    .map(({ text, style }) => {
      const sequence = SEQUENCES[style];
      return hasColours && sequence !== '' ? `\x1b[${sequence}m${text}\x1b[0m` : text;
    })
    .join('');
}

/** A text of somebody else without what moves a cursor, or takes more than one column. */
export function harmless(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\u02ff]/g, '·');
}
