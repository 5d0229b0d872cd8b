import type { Cancel, Surroundings } from './surroundings.ts';

/** The timers of one owner, by name. One that is set again replaces the one before. */
export class Timers<Name> {
  readonly #surroundings: Surroundings;
  readonly #cancels = new Map<Name, Cancel>();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  set(name: Name, ms: number, act: () => void): void {
    this.clear(name);
    this.#cancels.set(
      name,
      this.#surroundings.after(ms, () => {
        this.#cancels.delete(name);
        act();
      }),
    );
  }

  clear(...names: readonly Name[]): void {
    for (const name of names) {
      this.#cancels.get(name)?.();
      this.#cancels.delete(name);
    }
  }

  clearAll(): void {
    this.clear(...this.#cancels.keys());
  }
}
