import type { Received } from './fan-out-under-test.ts';

/** What one client knows of a channel. */
interface Known {
  epoch: string;
  /** The offset that must come next or be told as lost; undefined before the first one of a replay. */
  next: number | undefined;
  /** Offsets up to this one were promised as a replay, and must not be told as lost. */
  promised: number;
  /** Publications of the replay that have not arrived yet. */
  left: number;
}

/**
 * What one connection is told, held to the promise: of each channel every offset comes once, in order, or is
 * told as lost with its exact range; nothing that was promised is lost, but for what nobody can have; and an epoch is over only when all
 * of it has come or was told. Throws on the first breach.
 */
export class ReplayOracle {
  readonly #known = new Map<string, Known>();
  readonly #ends: ReadonlyMap<string, number>;
  readonly #undeliverable: ReadonlySet<string>;
  /** The position from which each request asked to continue, by its id. */
  readonly asked = new Map<number, { readonly epoch: string; readonly offset: number }>();
  #seq = 0;
  replayed = 0;
  /** Gaps in replays. */
  gapsInReplays = 0;
  lost = 0;
  recovered = 0;
  /** The reasons of replays that were not recovered. */
  readonly reasons = new Set<unknown>();

  /**
   * @param ends the last offset of each epoch that is over; it grows.
   * @param undeliverable `epoch offset` of all that nobody can have; it grows.
   */
  constructor(ends: ReadonlyMap<string, number>, undeliverable: ReadonlySet<string>) {
    this.#ends = ends;
    this.#undeliverable = undeliverable;
  }

  /** The position from which a client would continue the channel; undefined if it knows none. */
  positionOf(channel: string): { epoch: string; offset: number } | undefined {
    const known = this.#known.get(channel);
    if (known === undefined || (known.next === undefined && known.left > 0)) return undefined;
    return { epoch: known.epoch, offset: (known.next ?? known.promised + 1) - 1 };
  }

  check(message: Received): void {
    const { type, channel = '' } = message;
    if (type === undefined) this.#checkPublication(channel, message);
    else if (type === 'gap') this.#checkGap(channel, message);
    else if (type === 'resync') this.#checkResync(channel, message);
    else if (type === 'subscribed') {
      for (const one of message.channels as Received[]) this.#checkAnswer(Number(message.id), one);
    } else if (type === 'unsubscribed') {
      for (const name of message.channels as string[]) this.#known.delete(name);
    }
  }

  #checkAnswer(id: number, { channel = '', offset = 0, ...answer }: Received): void {
    if (this.#known.has(channel)) return;
    const epoch = String(answer.epoch);
    const replayed = Number(answer.replayed ?? 0);
    const asked = this.asked.get(id);
    if (answer.recovered === false) this.reasons.add(answer.reason);
    const isContinued = answer.recovered === true && asked !== undefined;
    if (isContinued) {
      equal('the epoch that it continues', asked.epoch, epoch);
      this.recovered += 1;
    }
    this.replayed += replayed;
    const isNothing = replayed === 0 && !('recovered' in answer);
    const next = isContinued ? asked.offset + 1 : isNothing ? offset + 1 : undefined;
    this.#known.set(channel, { epoch, next, promised: offset, left: replayed });
  }

  #checkPublication(channel: string, { seq = 0, offset = 0, data }: Received): void {
    const known = this.#of(channel);
    if (seq <= this.#seq) throw new Error(`seq ${seq} after ${this.#seq}`);
    this.#seq = seq;
    equal('the offset', this.#nextOf(known, offset), offset);
    equal('its data', `${known.epoch} ${offset}`, data);
    known.next = offset + 1;
    if (offset <= known.promised) known.left -= 1;
    else equal('what is left of the replay', known.left, 0);
  }

  #checkGap(channel: string, { epoch, from, to, lost }: Received): void {
    const known = this.#of(channel);
    equal('the epoch of a gap', known.epoch, epoch);
    equal('the beginning of a gap', this.#nextOf(known, Number(from)), from);
    equal('the number of a gap', Number(to) - Number(from) + 1, lost);
    if (Number(from) <= known.promised) {
      this.gapsInReplays += 1;
      for (let offset = Number(from); offset <= Number(to); offset += 1) {
        if (this.#undeliverable.has(`${epoch} ${offset}`)) continue;
        throw new Error(`${offset} was promised, and is lost`);
      }
      if (Number(to) > known.promised) throw new Error('a gap goes on beyond a replay');
    }
    this.lost += Number(lost);
    known.next = Number(to) + 1;
  }

  #checkResync(channel: string, { epoch, offset = 0 }: Received): void {
    const known = this.#of(channel);
    const end = this.#ends.get(known.epoch) ?? 0;
    equal('what came of an epoch that is over', this.#nextOf(known, end + 1), end + 1);
    equal('what is left of the replay', known.left, 0);
    Object.assign(known, { epoch, next: offset + 1, promised: offset });
  }

  /** What must come next, if something with this offset comes; a replay may begin anywhere up to its end. */
  #nextOf({ next, promised }: Known, offset: number): number {
    return next ?? Math.min(offset, promised + 1);
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
