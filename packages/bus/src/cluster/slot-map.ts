import type { HostAndPort } from '../redis-settings.ts';
import type { ClusterAnswer } from './cluster-answer.ts';
import { SLOTS } from './hash-slot.ts';

/** The name of a node: `host:port`, an IPv6 address in brackets. */
export function nodeName({ host, port }: HostAndPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Which master owns which slot. Pure bookkeeping. */
export class SlotMap {
  readonly #owners: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);
  #addresses = new Map<string, HostAndPort>();
  #moves = 0;
  /** Slots that a MOVED has reassigned → its number. An answer that confirms or replaces the owner removes the slot. */
  readonly #moved = new Map<number, number>();

  /** The masters that own slots: name → address. */
  get masters(): ReadonlyMap<string, HostAndPort> {
    return this.#addresses;
  }

  /** The name of the master of a slot; undefined if no master is known to serve it. */
  ownerOf(slot: number): string | undefined {
    return this.#owners[slot];
  }

  /** How many slots a MOVED has told of so far. */
  get moves(): number {
    return this.#moves;
  }

  /**
   * Takes over what an answer says. Returns whether anything is different: the owner of a slot, or who is a master at all.
   *
   * @param tied further answers that are as new. A slot stays with its present owner if one of them says so.
   * @param movesBefore {@link moves} when the question was asked: what a MOVED has told since is newer than the answer.
   */
  take(
    answer: ClusterAnswer,
    tied: readonly ClusterAnswer[] = [],
    movesBefore: number = this.#moves,
  ): boolean {
    const before = [...this.#owners];
    const known = new Map(this.#addresses);
    this.#owners.fill(undefined);
    for (const { host, port, ranges } of answer.masters) {
      const name = nodeName({ host, port });
      known.set(name, { host, port });
      for (const [from, to] of ranges) this.#owners.fill(name, from, to + 1);
    }
    for (const { host, port, ranges } of tied.flatMap(({ masters }) => masters)) {
      const name = nodeName({ host, port });
      for (const [from, to] of ranges)
        for (let slot = from; slot <= to; slot += 1)
          if (before[slot] === name) this.#owners[slot] = name;
    }
    for (const [slot, move] of this.#moved) {
      if (move > movesBefore) this.#owners[slot] = before[slot];
      else this.#moved.delete(slot);
    }
    const owners = new Set(this.#owners);
    const were = this.#addresses;
    this.#addresses = new Map([...known].filter(([name]) => owners.has(name)));
    return (
      were.size !== this.#addresses.size ||
      [...were.keys()].some((name) => !owners.has(name)) ||
      before.some((owner, slot) => owner !== this.#owners[slot])
    );
  }

  /** A node said that this slot belongs to another one. Returns whether that is news. */
  move(slot: number, to: HostAndPort): boolean {
    const name = nodeName(to);
    this.#moves += 1;
    this.#moved.set(slot, this.#moves);
    if (this.#owners[slot] === name) return false;
    this.#owners[slot] = name;
    this.#addresses.set(name, to);
    return true;
  }

  /** The first slot of a master; undefined if it has none. */
  firstSlotOf(name: string): number | undefined {
    const slot = this.#owners.indexOf(name);
    return slot === -1 ? undefined : slot;
  }
}
