import { Tape, type TapeMessage, type TapeSources } from './tape.ts';

/** Time between two messages of a tape, in ms: so often an eye sees that it moves. */
export const TAPE_INTERVAL_MS = 100;

/** The tapes that pages look at, one a channel, however many pages there are. They end when nobody looks. */
export class Tapes {
  readonly #sources: TapeSources;
  readonly #tapes = new Map<string, Tape>();
  readonly #timer: NodeJS.Timeout;

  /** @param tell sends what has come to the pages that look at the channel. */
  constructor(sources: TapeSources, tell: (message: TapeMessage) => void) {
    this.#sources = sources;
    this.#timer = setInterval(() => {
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

  /** Begins and ends tapes, so that there is one for each of `channels`. */
  follow(channels: readonly string[]): void {
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
}
