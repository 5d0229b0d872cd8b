import type { HoleReason } from './replay.ts';

/** What a client misses between two publications of a channel. */
export type Missing =
  /**
   * Publications with these offsets, both inclusive. `count` is how many, those without an offset among them included; it
   * is undefined when nobody knows.
   */
  | {
      readonly kind: 'range';
      readonly from: number;
      readonly to: number;
      readonly count: number | undefined;
    }
  /** Publications without offsets. */
  | { readonly kind: 'count'; readonly count: number }
  /** Publications without offsets, and nobody knows how many. */
  | { readonly kind: 'unknown' }
  /** No publication: the channel's epoch ends here. `epoch` is empty when the channel had none. */
  | { readonly kind: 'epoch-end'; readonly epoch: string };

/** What a client must be told between two publications of a channel: what it misses, or the end of an epoch. */
export interface Loss {
  readonly channel: string;
  readonly missing: Missing;
  /** The epoch of the offsets. Undefined stands for the channel's present epoch, the empty text for none. */
  readonly epoch: string | undefined;
  /** `slow` if the queue refused them, `trimmed` if they were part of a promised replay, or the reason of a hole. */
  readonly reason: HoleReason;
  /** The payload of the control frame that tells it, if upstream reported the loss; else its teller must encode one. */
  readonly frame: Uint8Array | undefined;
}

/** A gap or the end of an epoch that upstream reported, in its place between two publications of the channel. */
export interface Notice {
  readonly channel: string;
  /** The payload of the control frame that tells it; undefined if the notice was joined from several. */
  readonly frame: Uint8Array | undefined;
  readonly missing: Missing;
}

/**
 * Describes missing publications by their offsets if they have any, else by their count.
 *
 * @param count undefined when nobody knows how many.
 * @param from their first offset; 0 when they have none.
 * @param to their last offset, inclusive.
 */
export function missingPublications(count: number | undefined, from = 0, to = 0): Missing {
  if (from > 0 && to >= from) return { kind: 'range', from, to, count };
  return count === undefined ? { kind: 'unknown' } : { kind: 'count', count };
}

/** How many publications are missing; undefined when nobody knows. */
export function countOf(missing: Missing): number | undefined {
  switch (missing.kind) {
    case 'epoch-end':
      return 0;
    case 'unknown':
      return undefined;
    default:
      return missing.count;
  }
}

/** The loss that a notice tells. */
export function lossOfNotice({ channel, frame, missing }: Notice): Loss {
  const epoch = missing.kind === 'epoch-end' ? missing.epoch : undefined;
  return { channel, missing, epoch, reason: 'slow', frame };
}

/** Two notices as one, where nothing lies between them; undefined if they cannot be joined. */
export function joinNotices(one: Notice, next: Notice): Notice | undefined {
  const { channel } = one;
  const missing = channel === next.channel ? join(one.missing, next.missing) : undefined;
  return missing === undefined ? undefined : { channel, missing, frame: undefined };
}

/** Losses, joined into as few as possible. Only the order within each channel is kept, since nothing else matters. */
export class Losses {
  readonly #byChannel = new Map<string, Loss[]>();

  /** Whether anything of this channel is lost. */
  has(channel: string): boolean {
    return this.#byChannel.has(channel);
  }

  /**
   * Appends a loss to those of its channel.
   *
   * @param loss If it ends an epoch, the losses before it belong to that epoch.
   */
  add(loss: Loss): void {
    const { channel, epoch } = loss;
    const list = this.#byChannel.get(channel) ?? [];
    const last = list.at(-1);
    const joint = last === undefined ? undefined : joinLosses(last, loss);
    if (joint === undefined) list.push(loss);
    else list[list.length - 1] = joint;
    this.#byChannel.set(
      channel,
      epoch === undefined ? list : list.map((one) => ({ ...one, epoch: one.epoch ?? epoch })),
    );
  }

  /** Drops the losses of a channel. */
  drop(channel: string): void {
    this.#byChannel.delete(channel);
  }

  /** All losses, channel by channel. The caller owns the array. */
  get all(): readonly Loss[] {
    return [...this.#byChannel.values()].flat();
  }
}

function joinLosses(one: Loss, next: Loss): Loss | undefined {
  if (one.epoch !== next.epoch || one.reason !== next.reason) return undefined;
  const missing = join(one.missing, next.missing);
  return missing === undefined ? undefined : { ...one, missing, frame: undefined };
}

/** The end of an epoch cannot be joined with anything. */
function join(one: Missing, next: Missing): Missing | undefined {
  if (one.kind === 'epoch-end' || next.kind === 'epoch-end') return undefined;
  const [before, behind] = [countOf(one), countOf(next)];
  const count = before === undefined || behind === undefined ? undefined : before + behind;
  const first = one.kind === 'range' ? one : next;
  if (first.kind !== 'range') return missingPublications(count);
  const to = next.kind === 'range' ? Math.max(first.to, next.to) : first.to;
  return { kind: 'range', from: first.from, to, count };
}
