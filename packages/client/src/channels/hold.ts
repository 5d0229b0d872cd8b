import type { Gap, PublicationMessage, SubscribedChannel } from '@tradewind/protocol';
import type { Consumer } from '../consumers/consumer.ts';
import type { GapReason, Position, Resync } from '../types.ts';
import type { HeldChannel } from './channel.ts';

/** `resync` as it is on the wire; a node of an earlier release has no `started`. */
export interface ResyncFrame {
  readonly epoch: string;
  readonly offset: number;
  readonly reason?: string;
}

/** How a channel came to be asked for. */
export type AskedFor = 'first' | 'resume' | 'rewind' | 'handover';

/** One array for all holds: each would keep an empty one. */
const NOBODY: readonly Consumer[] = [];

/** Why publications are missing that history cannot bring. */
const LOSS_REASONS: Readonly<Record<AskedFor, GapReason>> = {
  first: 'away',
  resume: 'away',
  rewind: 'trimmed',
  handover: 'handover',
};

/**
 * One channel on one connection, from its `subscribe` to its end. It follows the connection's stream of the channel, finds what is
 * missing in it, and gives the channel what follows. While the client moves, a channel has two holds.
 */
export class Hold {
  readonly channel: HeldChannel;
  readonly askedFor: AskedFor;
  /** What was asked for. */
  readonly since: Position | undefined;
  phase: 'asked' | 'held' | 'leaving' = 'asked';
  epoch: string | undefined;
  /** How often the latest was asked for, and is sent; undefined for all. A server of an earlier release sends all. */
  askedEveryMs: number | undefined;
  everyMs: number | undefined;
  /** Up to here the latest was sent, also where all is sent since: the answer to a change may overtake what was left of it. */
  #skipsTo = 0;
  /** What the answer said that was left out before the first publication. */
  #skipped = 0;
  /** Up to where this connection has sent the channel; undefined before the first offset. */
  #at: number | undefined;
  #replayLeft = 0;
  /** Whether all behind `since` follows. */
  isRecovered = false;
  /** Whether it is in an epoch that the other connection of a move has left already. */
  #isBehind = false;
  /** Why the next offset may jump; undefined once it may not. */
  #mayJump: GapReason | undefined;
  #returning: readonly Consumer[];

  /** @param returning consumers that were paused, and continue with this hold's replay. */
  constructor(
    channel: HeldChannel,
    askedFor: AskedFor,
    since: Position | undefined,
    returning: readonly Consumer[],
  ) {
    this.channel = channel;
    this.askedFor = askedFor;
    this.since = since;
    this.#returning = returning;
    this.askedEveryMs = channel.everyMs;
  }

  /** Whether all of the past has come. */
  get isLive(): boolean {
    return this.phase === 'held' && this.#replayLeft === 0;
  }

  answered(answer: SubscribedChannel): void {
    const { channel, since } = this;
    const { epoch, offset = 0, replayed = 0 } = answer;
    const { position, wasLive } = channel;
    // The other connection of a move may have brought the channel into another epoch since this one was asked.
    const isMoved = wasLive && since !== undefined && position?.epoch !== since.epoch;
    const before = isMoved ? position : (since ?? position);
    this.phase = 'held';
    this.epoch = epoch;
    this.#replayLeft = replayed;
    channel.adopt(this);
    // What they continue with was asked for in the epoch before: then they are asked for again.
    for (const consumer of isMoved ? NOBODY : this.#returning) {
      consumer.isPaused = false;
      consumer.wantsBack = false;
    }
    this.#returning = NOBODY;
    if (epoch === undefined) {
      if (before !== undefined) channel.restart({ reason: 'history_lost' });
      else if (wasLive) channel.lost({ reason: this.#lossReason });
    } else if (isMoved && epoch === since.epoch) {
      this.#isBehind = true;
    } else if (since !== undefined && answer.recovered === true) {
      this.isRecovered = true;
      this.#at = since.offset;
    } else if (before?.epoch === epoch && answer.reason !== 'offset_ahead') {
      // A node that is behind another one sends again what is known here.
      if (offset >= before.offset) {
        this.#at = before.offset;
        this.#mayJump = this.#lossReason;
        if (replayed === 0) this.#reach(offset);
      }
    } else {
      this.#at = replayed === 0 ? offset : undefined;
      if (before !== undefined || wasLive) {
        const reason =
          before === undefined
            ? 'started'
            : before.epoch === epoch
              ? 'offset_ahead'
              : 'epoch_changed';
        channel.restart({ epoch, ...(replayed === 0 && { offset }), reason });
      } else channel.begin(epoch, this.#at);
    }
    this.everyMs = answer.latest?.everyMs;
    this.#skipped = answer.skipped ?? 0;
    channel.answered(this);
    if (this.#replayLeft === 0) channel.replayed(this);
  }

  /** A later `subscribe` was answered: the channel comes in another way from here on. */
  changed({ latest, offset = 0 }: SubscribedChannel): void {
    if (this.everyMs !== undefined) this.#skipsTo = offset;
    this.everyMs = latest?.everyMs;
  }

  /** Whether a change was not carried out. A server of an earlier release knows no `latest`. */
  get isRefused(): boolean {
    return this.everyMs !== undefined && this.everyMs !== this.askedEveryMs;
  }

  /** Whether offsets up to this one may be missing because of `latest`. What is left out is not lost. */
  skips(offset: number): boolean {
    return this.everyMs !== undefined || offset <= this.#skipsTo;
  }

  publication(frame: PublicationMessage, characters: number): void {
    const { offset } = frame;
    const isReplayed = this.#replayLeft > 0;
    if (this.#isBehind && offset !== undefined) this.channel.duplicate();
    else this.#follow(frame, isReplayed, characters);
    if (!isReplayed) return;
    this.#replayLeft -= 1;
    if (this.#replayLeft === 0) this.channel.replayed(this);
  }

  #follow(frame: PublicationMessage, isReplayed: boolean, characters: number): void {
    const { offset } = frame;
    if (offset !== undefined) {
      if (this.#at !== undefined) {
        if (offset <= this.#at) {
          this.channel.duplicate();
          return;
        }
        this.#reach(offset - 1);
      }
      this.#at = offset;
      this.#mayJump = undefined;
    }
    const skipped = this.#skipped + (frame.skipped ?? 0);
    this.#skipped = 0;
    this.channel.deliver(this, frame, isReplayed, characters, skipped);
  }

  gap({ epoch = this.epoch, from, to, lost, reason }: Gap): void {
    if (from === undefined || to === undefined) {
      this.#lost({ reason, ...(lost !== undefined && { lost }) });
      return;
    }
    if (epoch !== this.epoch || this.#isBehind) return;
    if (this.#at !== undefined) {
      if (to <= this.#at) return;
      this.#reach(from - 1);
    }
    const first = Math.max(from, (this.#at ?? 0) + 1);
    this.#at = to;
    this.#mayJump = undefined;
    const known = first === from ? lost : to - first + 1;
    this.#lost({
      ...(epoch !== undefined && { epoch }),
      from: first,
      to,
      ...(known !== undefined && { lost: known }),
      reason,
    });
  }

  resync({ epoch, offset, reason }: ResyncFrame): void {
    const { channel } = this;
    const wasPlain = this.epoch === undefined;
    this.epoch = epoch;
    this.#at = offset;
    this.#mayJump = undefined;
    this.#skipsTo = 0;
    this.#isBehind = false;
    if (channel.primary !== this) return;
    // Another connection has brought the channel here, or further. What is sent again is known by its offsets.
    const { position } = channel;
    if (position?.epoch === epoch && position.offset >= offset) return;
    channel.restart({
      epoch,
      offset,
      reason: wasPlain || reason === 'started' ? 'started' : 'history_lost',
    });
  }

  get #lossReason(): GapReason {
    return LOSS_REASONS[this.askedFor];
  }

  /** Tells what is missing up to `offset`, which this connection has reached. */
  #reach(offset: number): void {
    if (offset <= this.#at!) return;
    const at = Math.max(this.#at!, this.#skipsTo);
    this.#at = offset;
    if (this.skips(offset)) return;
    this.#lost({
      ...(this.epoch !== undefined && { epoch: this.epoch }),
      from: at + 1,
      to: offset,
      lost: offset - at,
      reason: this.#mayJump ?? 'unannounced',
    });
  }

  /** The other connection of a move may still have it, if this is not the one that counts. */
  #lost(gap: Parameters<HeldChannel['lost']>[0]): void {
    if (this.channel.primary === this) this.channel.lost(gap);
  }
}

/** A resync before it is given its kind and channel. */
export type NewResync = Omit<Resync, 'kind' | 'channel'>;
