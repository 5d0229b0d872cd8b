import { Owner, type OwnerLimits } from './owner.ts';

/**
 * Owners that are remembered although nothing of them is open, at most. Their budgets would otherwise be full again as soon
 * as they close what they have. 330 bytes each, and 530 with four budgets: 4.3 MB at most.
 */
const MOST_IDLE = 8_192;

/**
 * The owners that one worker counts for. Those that have something open are as many as connections at most. Of the others
 * the latest are remembered. When they are too many, the one that was not seen for longest is forgotten, and begins with
 * full budgets when it comes again: nobody is refused because the table is full.
 */
export class OwnerTable {
  readonly #limits: OwnerLimits;
  readonly #mostIdle: number;
  readonly #held = new Map<string, Owner>();
  /** In the order in which they were seen, the latest last. */
  readonly #idle = new Map<string, Owner>();

  /** @param mostIdle owners that are remembered although nothing of them is open. */
  constructor(limits: OwnerLimits, mostIdle = MOST_IDLE) {
    this.#limits = limits;
    this.#mostIdle = mostIdle;
  }

  /** Owners that it knows. */
  get size(): number {
    return this.#held.size + this.#idle.size;
  }

  /** The owner with this key, which may be a new one. */
  find(key: string): Owner {
    const held = this.#held.get(key);
    if (held !== undefined) return held;
    const owner = this.#idle.get(key) ?? new Owner(key, this.#limits);
    this.#remember(owner);
    return owner;
  }

  /** The owner has one more connection of this kind. */
  addConnection(owner: Owner, kind: 'connections' | 'plain'): void {
    if (!owner.isHeld) {
      this.#idle.delete(owner.key);
      this.#held.set(owner.key, owner);
    }
    owner[kind] += 1;
  }

  /** One of those has ended, or is of the other kind now. */
  removeConnection(owner: Owner, kind: 'connections' | 'plain'): void {
    owner[kind] -= 1;
    if (owner.isHeld) return;
    this.#held.delete(owner.key);
    this.#remember(owner);
  }

  #remember(owner: Owner): void {
    this.#idle.delete(owner.key);
    this.#idle.set(owner.key, owner);
    if (this.#idle.size <= this.#mostIdle) return;
    const [oldest = ''] = this.#idle.keys();
    this.#idle.delete(oldest);
  }
}
