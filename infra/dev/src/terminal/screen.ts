import type { WriteStream } from 'node:tty';
import { type Line, toText } from './styled-text.ts';

const ESCAPE = '\x1b[';
const ENTER = `${ESCAPE}?1049h${ESCAPE}?25l`;
const LEAVE = `${ESCAPE}?25h${ESCAPE}?1049l`;
const HOME = `${ESCAPE}H`;
const CLEAR = `${ESCAPE}2J`;
const CLEAR_LINE_END = `${ESCAPE}K`;
const CLEAR_BELOW = `${ESCAPE}J`;

/**
 * The terminal's alternate screen, which keeps the text that was there before. However this process ends, short of SIGKILL, the
 * terminal is as it was.
 */
export class Screen implements Disposable {
  readonly #terminal: WriteStream;
  readonly #hasColours: boolean;
  #isOpen = true;
  readonly #leave = (): void => {
    if (this.#isOpen) this.#terminal.write(LEAVE);
    this.#isOpen = false;
  };
  /** A terminal that grew shows pieces of the old picture. */
  readonly #clear = (): void => {
    this.#terminal.write(CLEAR);
  };

  constructor(terminal: WriteStream, hasColours: boolean) {
    this.#terminal = terminal;
    this.#hasColours = hasColours;
    terminal.write(ENTER);
    terminal.on('resize', this.#clear);
    process.on('exit', this.#leave);
    // Before Node prints the error, which would vanish with the alternate screen.
    process.on('uncaughtExceptionMonitor', this.#leave);
  }

  /** Replaces the picture without flicker. The lines must fit. */
  draw(lines: readonly Line[]): void {
    const text = lines.map((line) => toText(line, this.#hasColours) + CLEAR_LINE_END).join('\r\n');
    if (this.#isOpen) this.#terminal.write(`${HOME}${text}${CLEAR_BELOW}`);
  }

  [Symbol.dispose](): void {
    this.#leave();
    this.#terminal.off('resize', this.#clear);
    process.off('exit', this.#leave);
    process.off('uncaughtExceptionMonitor', this.#leave);
  }
}
