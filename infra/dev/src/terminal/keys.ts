import type { ReadStream } from 'node:tty';

/** What a terminal sends for keys that are more than a character: arrows, say. */
const ESCAPE = '\x1b';

/** Ctrl-C and Ctrl-D, which are characters like others in raw mode. */
const ENDS = ['\x03', '\x04', 'q'];

/**
 * Reads single keys until it is disposed of. However this process ends, the terminal reads lines again: Node restores what it found
 * when it began.
 */
export class Keys implements Disposable {
  readonly #terminal: ReadStream;
  readonly #take: (data: Buffer) => void;

  /**
   * @param onKey is called with each character, in lower case.
   * @param onEnd is called for `q`, Ctrl-C and Ctrl-D.
   */
  constructor(terminal: ReadStream, onKey: (key: string) => void, onEnd: () => void) {
    this.#terminal = terminal;
    this.#take = (data) => {
      const text = data.toString('latin1').toLowerCase();
      if (text.startsWith(ESCAPE)) return;
      for (const key of text) {
        if (ENDS.includes(key)) onEnd();
        else onKey(key);
      }
    };
    terminal.setRawMode(true);
    terminal.on('data', this.#take);
    // The terminal is gone, and a hang-up follows.
    terminal.on('error', () => {});
    terminal.resume();
  }

  [Symbol.dispose](): void {
    this.#terminal.off('data', this.#take);
    this.#terminal.setRawMode(false);
    this.#terminal.pause();
    this.#terminal.unref();
  }
}
