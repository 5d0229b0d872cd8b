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

  /** The masters that own slots: name → address. */
  get masters(): ReadonlyMap<string, HostAndPort> {
    return this.#addresses;
  }

  /** The name of the master of a slot; undefined if nobody is known to serve it. */
  ownerOf(slot: number): string | undefined {
    return this.#owners[slot];
  }

  /** Takes over what an answer says. Returns whether anything is different: the owner of a slot, or who is a master at all. */
  take(answer: ClusterAnswer): boolean {
    const before = [...this.#owners];
    const addresses = new Map<string, HostAndPort>();
    this.#owners.fill(undefined);
    for (const { host, port, ranges } of answer.masters) {
      const name = nodeName({ host, port });
      addresses.set(name, { host, port });
      for (const [from, to] of ranges) this.#owners.fill(name, from, to + 1);
    }
    const isSameSet =
      addresses.size === this.#addresses.size &&
      [...addresses.keys()].every((name) => this.#addresses.has(name));
    this.#addresses = addresses;
    return !isSameSet || before.some((owner, slot) => owner !== this.#owners[slot]);
  }

  /** A node said that this slot belongs to another one. Returns whether that is news. */
  move(slot: number, to: HostAndPort): boolean {
    const name = nodeName(to);
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
