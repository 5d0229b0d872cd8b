/** Between two drawings, in ms: more often is not seen. */
const INTERVAL_MS = 100;
const WIDTH = 30;

/** Where a bar is drawn: a terminal. */
export interface Terminal {
  write(text: string): unknown;
}

/** A progress bar on one line of a terminal, drawn over itself. */
export class ProgressBar {
  readonly #terminal: Terminal;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** @param fraction how much is done, from 0 to 1. */
  update(fraction: number, label: string): void {
    const now = performance.now();
    if (now - this.#drawnAt < INTERVAL_MS) return;
    this.#drawnAt = now;
    this.#draw(fraction, label);
  }

  /** Draws the last state and leaves the line. */
  end(fraction: number, label: string): void {
    this.#draw(fraction, label);
    this.#terminal.write('\n');
  }

  #draw(fraction: number, label: string): void {
    const done = Math.min(1, Math.max(0, fraction));
    const filled = Math.round(done * WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled);
    this.#terminal.write(`\r\x1b[K${bar} ${Math.floor(done * 100)}% ${label}`);
  }
}
