/**
 * The number of connections of a node. Each worker has a slot in memory that all workers share. So every worker knows
 * the node's total when it decides about a handshake, and none is full while another has room.
 */
export class ConnectionCount {
  readonly #slots: Int32Array<SharedArrayBuffer>;
  readonly #own: number;

  /**
   * @param memory from {@link createConnectionMemory}.
   * @param own the slot in which this object counts.
   */
  constructor(memory: SharedArrayBuffer, own: number) {
    this.#slots = new Int32Array(memory);
    this.#own = own;
  }

  /** Connections of the whole node. */
  get total(): number {
    let total = 0;
    for (let slot = 0; slot < this.#slots.length; slot += 1) {
      total += Atomics.load(this.#slots, slot);
    }
    return total;
  }

  /** Connections of each worker, by slot. */
  get bySlot(): readonly number[] {
    return Array.from(this.#slots, (_, slot) => Atomics.load(this.#slots, slot));
  }

  /** Counts a connection that opened. */
  increment(): void {
    Atomics.add(this.#slots, this.#own, 1);
  }

  /** Counts a connection that ended. */
  decrement(): void {
    Atomics.sub(this.#slots, this.#own, 1);
  }

  /** Sets a worker's count to 0, because the worker has ended. */
  reset(slot: number): void {
    Atomics.store(this.#slots, slot, 0);
  }
}

/** Memory for the counts of `workers` workers. */
export function createConnectionMemory(workers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(workers * Int32Array.BYTES_PER_ELEMENT);
}
