/** Lines that are kept: a view shows fewer. */
const MAX_EVENTS = 100;

/** A line of what happened to the demo. */
export interface DemoEvent {
  /** How long the demo had run, in s. */
  readonly seconds: number;
  readonly tone: 'good' | 'bad' | 'plain';
  readonly text: string;
}

/** What happened to the demo, oldest first. */
export class EventLog {
  readonly #seconds: () => number;
  readonly #events: DemoEvent[] = [];

  /** @param seconds how long the demo has run, in s. */
  constructor(seconds: () => number) {
    this.#seconds = seconds;
  }

  /** Live; do not change it. */
  get events(): readonly DemoEvent[] {
    return this.#events;
  }

  add(tone: DemoEvent['tone'], text: string): void {
    if (this.#events.push({ seconds: this.#seconds(), tone, text }) > MAX_EVENTS)
      this.#events.shift();
  }
}
