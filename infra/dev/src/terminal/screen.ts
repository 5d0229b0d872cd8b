import type { WriteStream } from 'node:tty';

const ESCAPE = '\x1b[';
const ENTER = `${ESCAPE}?1049h${ESCAPE}?25l`;
const LEAVE = `${ESCAPE}?25h${ESCAPE}?1049l`;
const HOME = `${ESCAPE}H`;
const CLEAR_LINE_END = `${ESCAPE}K`;
const CLEAR_BELOW = `${ESCAPE}J`;

/** The terminal's alternate screen, which keeps the text that was there before. */
export class Screen implements Disposable {
  readonly #terminal: WriteStream;

  constructor(terminal: WriteStream) {
    this.#terminal = terminal;
    terminal.write(ENTER);
  }

  /** Replaces the text without flicker; lines that do not fit are left out. */
  draw(lines: readonly string[]): void {
    const { rows, columns } = this.#terminal;
    const fitting = lines
      .slice(0, rows)
      .map((line) => line.slice(0, columns) + CLEAR_LINE_END)
      .join('\r\n');
    this.#terminal.write(`${HOME}${fitting}${CLEAR_BELOW}`);
  }

  [Symbol.dispose](): void {
    this.#terminal.write(LEAVE);
  }
}
