import type { Received } from './fan-out-under-test.ts';

/** A channel as one client may know it. */
interface Known {
  epoch: string;
  /** The offset that must come next, or be told as lost. */
  next: number;
  /** Up to this offset nothing may be told as lost: it was promised as a replay. */
  promised: number;
}

/**
 * What one connection is told, held to the promise: of each channel every offset comes once, in order, or is
 * told as lost with its exact range; nothing that was promised is lost; and an epoch is over only when all
 * of it has come or was told. Throws on the first breach.
 */
export class ReplayOracle {
  readonly #known = new Map<string, Known>();
  readonly #ends: ReadonlyMap<string, number>;
  /** Where each request, by its id, asked to continue from. */
  readonly asked = new Map<number, { readonly epoch: string; readonly offset: number }>();
  #seq = 0;
  replayed = 0;
  lost = 0;
  recovered = 0;
  /** Why what it asked for was not recovered. */
  readonly reasons = new Set<unknown>();

  /** @param ends the last offset of each epoch that is over; it grows. */
  constructor(ends: ReadonlyMap<string, number>) {
    this.#ends = ends;
  }

  /** Where a client would continue the channel: undefined if it knows nothing of it. */
  positionOf(channel: string): { epoch: string; offset: number } | undefined {
    const known = this.#known.get(channel);
    return known && { epoch: known.epoch, offset: known.next - 1 };
  }

  receive(message: Received): void {
    const { type, channel = '' } = message;
    if (type === undefined) this.#published(channel, message);
    else if (type === 'gap') this.#gap(channel, message);
    else if (type === 'resync') this.#resync(channel, message);
    else if (type === 'subscribed') {
      for (const one of message.channels as Received[]) this.#answer(Number(message.id), one);
    } else if (type === 'unsubscribed') {
      for (const name of message.channels as string[]) this.#known.delete(name);
    }
  }

  #answer(id: number, { channel = '', offset = 0, ...answer }: Received): void {
    if (this.#known.has(channel)) return;
    const epoch = String(answer.epoch);
    const replayed = Number(answer.replayed ?? 0);
    const asked = this.asked.get(id);
    if (answer.recovered === false) this.reasons.add(answer.reason);
    if (answer.recovered === true && asked !== undefined) {
      equal('the epoch that it continues', asked.epoch, epoch);
      equal('what it continues', asked.offset + replayed, offset);
      this.recovered += 1;
    }
    this.replayed += replayed;
    this.#known.set(channel, { epoch, next: offset - replayed + 1, promised: offset });
  }

  #published(channel: string, { seq = 0, offset = 0, data }: Received): void {
    const known = this.#of(channel);
    if (seq <= this.#seq) throw new Error(`seq ${seq} after ${this.#seq}`);
    this.#seq = seq;
    equal('the offset', known.next, offset);
    equal('its data', `${known.epoch} ${offset}`, data);
    known.next += 1;
  }

  #gap(channel: string, { epoch, from, to, lost }: Received): void {
    const known = this.#of(channel);
    equal('the epoch of a gap', known.epoch, epoch);
    equal('the beginning of a gap', known.next, from);
    equal('the number of a gap', Number(to) - Number(from) + 1, lost);
    if (Number(from) <= known.promised) throw new Error(`${from} was promised, and is lost`);
    this.lost += Number(lost);
    known.next = Number(to) + 1;
  }

  #resync(channel: string, { epoch, offset = 0 }: Received): void {
    const known = this.#of(channel);
    equal('what came of an epoch that is over', this.#ends.get(known.epoch), known.next - 1);
    Object.assign(known, { epoch, next: offset + 1, promised: offset });
  }

  #of(channel: string): Known {
    const known = this.#known.get(channel);
    if (known === undefined) throw new Error(`${channel} is not subscribed`);
    return known;
  }
}

function equal(what: string, expected: unknown, actual: unknown): void {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`);
}
