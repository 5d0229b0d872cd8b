import type { Cancel, Page, PageEvent, Surroundings } from '../surroundings.ts';

/** 2026-11-30, for readable times. */
const STARTS_AT = 1_796_000_000_000;

/** Lets everything run that waits for no timer. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A page that a test opens, hides and freezes. */
export class FakePage implements Page {
  hidden = false;
  readonly #acts = new Set<(event: PageEvent) => void>();

  isHidden(): boolean {
    return this.hidden;
  }

  listen(act: (event: PageEvent) => void): Cancel {
    this.#acts.add(act);
    return () => this.#acts.delete(act);
  }

  fire(type: string, persisted = false): void {
    for (const act of this.#acts) act({ type, persisted });
  }
}

/** A runtime whose time a test moves. */
export class FakeRuntime implements Surroundings {
  readonly page = new FakePage();
  /** What `random` returns. */
  chance = 0.5;
  readonly #timers = new Set<{ readonly at: number; readonly act: () => void }>();
  #monotonic = 0;
  #wallAhead = 0;

  now(): number {
    return STARTS_AT + this.#monotonic + this.#wallAhead;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  random(): number {
    return this.chance;
  }

  after(ms: number, act: () => void): Cancel {
    const timer = { at: this.#monotonic + ms, act };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Time passes, and every timer is punctual. */
  async pass(ms: number): Promise<void> {
    const until = this.#monotonic + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > until) break;
      this.#timers.delete(next);
      this.#monotonic = Math.max(this.#monotonic, next.at);
      next.act();
      await settle();
    }
    this.#monotonic = until;
  }

  /** Nothing runs for this time; timers are late. `wallOnly`: the monotonic clock stops as well. */
  async sleep(ms: number, wallOnly = false): Promise<void> {
    if (wallOnly) this.#wallAhead += ms;
    else this.#monotonic += ms;
    await this.pass(0);
  }
}
