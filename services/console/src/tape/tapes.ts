import { Tape, type TapeMessage, type TapeSources } from './tape.ts';

/** Time between two messages of a tape, in ms: so often an eye sees that it moves. */
export const TAPE_INTERVAL_MS = 100;

/** The tapes that pages look at, one a channel, however many pages there are. They end when nobody looks. */
export class Tapes {
  readonly #sources: TapeSources;
  readonly #tapes = new Map<string, Tape>();
  readonly #timer: NodeJS.Timeout;
  #wanted: readonly string[] = [];

  /** @param tell sends what has come to the pages that look at the channel. */
  constructor(sources: TapeSources, tell: (message: TapeMessage) => void) {
    this.#sources = sources;
    this.#timer = setInterval(() => {
      this.#beginAndEnd();
      for (const tape of this.#tapes.values()) {
        const message = tape.take();
        if (message !== undefined) tell(message);
      }
    }, TAPE_INTERVAL_MS);
  }

  /** Whether there is an edge to read from. */
  get canRead(): boolean {
    return this.#sources.urls.length > 0;
  }

  /** From now on there is one tape for each of `channels`, within {@link TAPE_INTERVAL_MS}: a page that flips through channels opens few. */
  follow(channels: readonly string[]): void {
    this.#wanted = channels;
  }

  /** What a page that begins to look at a channel must have; undefined if there is no tape of it. */
  past(channel: string): TapeMessage | undefined {
    return this.#tapes.get(channel)?.past;
  }

  /** Ends all. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#tapes.values()].map((tape) => tape.close()));
    this.#tapes.clear();
  }

  #beginAndEnd(): void {
    const channels = this.#wanted;
    for (const [channel, tape] of this.#tapes) {
      if (channels.includes(channel)) continue;
      this.#tapes.delete(channel);
      void tape.close();
    }
    if (!this.canRead) return;
    for (const channel of channels) {
      if (!this.#tapes.has(channel)) this.#tapes.set(channel, new Tape(channel, this.#sources));
    }
  }
}
