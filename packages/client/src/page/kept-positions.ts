import type { Core } from '../core.ts';
import { Timers } from '../timers.ts';
import type { Position } from '../types.ts';

/** Positions are saved at most this often, ms: storage is synchronous. */
const SAVE_EVERY_MS = 1_000;

/** A channel as far as its position is kept. */
interface KeptChannel {
  readonly name: string;
  /** Up to where the application has used it. */
  readonly used: Position | undefined;
}

/** Saves what has changed to the application's store of positions, if there is one. */
export class KeptPositions {
  readonly #core: Core;
  readonly #channels: ReadonlyMap<string, KeptChannel>;
  readonly #saved = new Map<string, Position | undefined>();
  readonly #timers: Timers<'save'>;
  #isDue = false;

  constructor(core: Core, channels: ReadonlyMap<string, KeptChannel>) {
    this.#core = core;
    this.#channels = channels;
    this.#timers = new Timers(core.surroundings);
  }

  load(channel: string): Position | undefined {
    let position: Position | undefined;
    this.#core.guard(() => {
      position = this.#core.settings.positions?.load(channel);
    });
    return position;
  }

  /** Some position may have changed. */
  changed(): void {
    if (this.#isDue || this.#core.settings.positions === undefined) return;
    this.#isDue = true;
    this.#timers.set('save', SAVE_EVERY_MS, () => this.save());
  }

  save(): void {
    this.#timers.clearAll();
    this.#isDue = false;
    const changed = new Map<string, Position | undefined>();
    for (const { name, used } of this.#channels.values()) {
      const saved = this.#saved.get(name);
      if (used?.offset === saved?.offset && used?.epoch === saved?.epoch) continue;
      changed.set(name, used);
      this.#saved.set(name, used);
    }
    if (changed.size > 0) this.#core.guard(() => this.#core.settings.positions?.save(changed));
  }

  forget(channel: string): void {
    this.#saved.delete(channel);
  }
}
