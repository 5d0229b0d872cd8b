import type { HoleReason } from './replay.ts';

/** Publications of one channel that a client does not get, or the end of its epoch: what it is told, in order. */
export interface Loss {
  readonly channel: string;
  /** How many; NaN when nobody knows. */
  readonly lost: number;
  /** Their offsets, both inclusive; 0 when they have none. */
  readonly from: number;
  readonly to: number;
  /** The epoch of these offsets; undefined: the one that the channel is in now; empty: none. */
  readonly epoch: string | undefined;
  /** Why: `slow` if they were refused, `trimmed` if they were promised as a replay, or as a hole says it. */
  readonly reason: HoleReason;
  /** The payload that tells it, where upstream told it. */
  readonly frame: Uint8Array | undefined;
}

/** What upstream told of a channel and has its place between the channel's publications. */
export interface Notice {
  readonly channel: string;
  /** The payload that tells it; undefined if it was put together from several. */
  readonly frame: Uint8Array | undefined;
  /** Publications that are lost by it: their number (NaN: nobody knows it) and their offsets (0: none). */
  readonly lost: number;
  readonly from: number;
  readonly to: number;
  /** The epoch that ends with it (empty: the channel had none); undefined if it is a gap, and none ends. */
  readonly endedEpoch: string | undefined;
}

/** The loss that a notice tells. */
export function lossOfNotice({ channel, frame, lost, from, to, endedEpoch }: Notice): Loss {
  return { channel, lost, from, to, epoch: endedEpoch, reason: 'slow', frame };
}

/** Two notices of which nothing separates the second from the first as one; undefined if they are not alike. */
export function joinNotices(one: Notice, next: Notice): Notice | undefined {
  const areGaps = one.endedEpoch === undefined && next.endedEpoch === undefined;
  if (one.channel !== next.channel || !areGaps) return undefined;
  return { ...one, ...joined(one, next) };
}

/** Losses put together into as few as can be: in the order of each channel, which is all that matters. */
export class Losses {
  readonly #byChannel = new Map<string, Loss[]>();

  has(channel: string): boolean {
    return this.#byChannel.has(channel);
  }

  /** @param loss of the present epoch, or the end of one: then those before it belong to that one. */
  add(loss: Loss): void {
    const { channel, epoch } = loss;
    const list = this.#byChannel.get(channel) ?? [];
    const last = list.at(-1);
    if (last !== undefined && goTogether(last, loss)) list[list.length - 1] = join(last, loss);
    else list.push(loss);
    this.#byChannel.set(
      channel,
      epoch === undefined ? list : list.map((one) => ({ ...one, epoch: one.epoch ?? epoch })),
    );
  }

  drop(channel: string): void {
    this.#byChannel.delete(channel);
  }

  get all(): readonly Loss[] {
    return [...this.#byChannel.values()].flat();
  }
}

/** The end of an epoch has a lost of 0, and goes together with nothing. */
function goTogether(one: Loss, next: Loss): boolean {
  const areGaps = one.lost !== 0 && next.lost !== 0;
  return areGaps && one.epoch === next.epoch && one.reason === next.reason;
}

function join(one: Loss, next: Loss): Loss {
  return { ...one, ...joined(one, next) };
}

type Lost = Pick<Loss, 'lost' | 'from' | 'to'>;

function joined(one: Lost, next: Lost): Lost & { readonly frame: undefined } {
  const lost = one.lost + next.lost;
  return { lost, from: one.from || next.from, to: Math.max(one.to, next.to), frame: undefined };
}
