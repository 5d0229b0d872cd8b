import { Owner, type OwnerLimits } from './owner.ts';

/**
 * The most owners that are remembered although nothing of them is open. Otherwise their budgets would be full again as soon
 * as they close what they have. An owner takes 330 bytes, and 530 with four budgets: together 4.3 MB at most.
 */
const MOST_IDLE = 8_192;

/**
 * The owners that one worker counts for. There are no more owners with something open than connections. Of the others the latest
 * are remembered. If they are too many, the one that was not seen for longest is forgotten, and begins with full budgets when it
 * comes again: no client is refused because the table is full.
 */
export class OwnerTable {
  readonly #limits: OwnerLimits;
  readonly #mostIdle: number;
  readonly #held = new Map<string, Owner>();
  /** Owners of which nothing is open, in the order in which they were seen, the latest last. */
  readonly #idle = new Map<string, Owner>();

  /** @param mostIdle owners that are remembered although nothing of them is open. */
  constructor(limits: OwnerLimits, mostIdle = MOST_IDLE) {
    this.#limits = limits;
    this.#mostIdle = mostIdle;
  }

  /** The number of owners that it knows. */
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

  /** Counts a connection of this kind for an owner. */
  addConnection(owner: Owner, kind: 'connections' | 'plain'): void {
    if (!owner.isHeld) {
      this.#idle.delete(owner.key);
      this.#held.set(owner.key, owner);
    }
    owner[kind] += 1;
  }

  /** Uncounts a connection that has ended, or is of the other kind now. */
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
