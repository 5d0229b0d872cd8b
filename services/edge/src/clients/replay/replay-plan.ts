import type { ChannelRequest, ErrorCode, Latest, Position } from '@tradewind/protocol';
import type { ReplaySource } from './replay-source.ts';

/** How a subscriber gets the publications of a channel that it asked for. */
export type ReplayPlan =
  | {
      readonly kind: 'replay';
      /** Whether the client gets all that it asked for; undefined if it asked for nothing. */
      readonly recovered: boolean | undefined;
      /** Why it does not get all. */
      readonly reason?: ErrorCode;
      /** The number of latest offsets to replay. The worker has their publications, and the gaps between them. */
      readonly offsets: number;
      /** The number of offsets behind `since` that are left out, because the client wants only the latest. Absent if none is. */
      readonly skipped?: number;
    }
  /** Publications from this offset on must be read first; see `Feed.readHistory`. */
  | { readonly kind: 'read'; readonly from: number }
  /** The node must confirm where the channel ends; see `Feed.confirmEnd`. */
  | { readonly kind: 'confirm-end' }
  /** The client does not get the channel. It must keep its position and ask again. */
  | { readonly kind: 'reject'; readonly code: ErrorCode };

/** What was read for a client since its request came. */
export interface ReadProgress {
  /** The read of the channel's end. */
  end: 'unread' | 'pending' | 'read';
  /** Why nothing more is read for the client: what the worker lacks cannot be had. Undefined while more may be read. */
  failure: ErrorCode | undefined;
}

/**
 * Plans what to replay to a subscriber. The client gets everything after `since` or nothing of it. If it gets nothing, it begins
 * anew with `history`, if it asked for that too. A client that wants the latest continues with the newest publication alone.
 *
 * @param maxHistory publications that are replayed at most; 0 for no history.
 * @param progress whether the channel's end was read. A client may be ahead of this node, because another node was ahead too.
 *   Only after that read may it be told that its offset does not exist.
 */
export function planReplay(
  request: ChannelRequest,
  source: ReplaySource,
  maxHistory: number,
  progress: ReadProgress,
): ReplayPlan {
  const { since, history: wanted } = request;
  const { position } = source;
  if (since === undefined && wanted === undefined) {
    return { kind: 'replay', recovered: undefined, offsets: 0 };
  }
  if (maxHistory === 0) return notRecovered('not_available');
  if (position === undefined) {
    if (since === undefined) return { kind: 'replay', recovered: true, offsets: 0 };
    if (progress.end === 'read') return notRecovered('no_history');
    return unconfirmed(progress) ?? notRecovered(progress.failure as ErrorCode);
  }
  // The client's token may have become narrower since it asked.
  const latest = Math.min(wanted ?? 0, maxHistory);
  if (since === undefined) return snapshot(latest, position, source, progress, undefined);
  const continued = continueFrom(since, position, source, maxHistory, progress, request.latest);
  if (typeof continued !== 'string') return continued;
  return snapshot(latest, position, source, progress, continued);
}

function continueFrom(
  since: Position,
  position: Position,
  source: ReplaySource,
  maxHistory: number,
  progress: ReadProgress,
  latest: Latest | undefined,
): ReplayPlan | ErrorCode {
  const { end, failure } = progress;
  const missed = position.offset - since.offset;
  if (since.epoch !== position.epoch) {
    return end === 'read' ? 'epoch_changed' : (unconfirmed(progress) ?? (failure as ErrorCode));
  }
  // A client that is ahead keeps its offset, even if the end cannot be read.
  if (missed < 0) return end === 'read' ? 'offset_ahead' : (failure ?? { kind: 'confirm-end' });
  const first = since.offset + 1;
  const from = latest === undefined || missed === 0 ? first : newestFrom(first, position, source);
  const offsets = position.offset - from + 1;
  if (offsets > maxHistory) return 'history_too_long';
  const found = source.find(from);
  if (found.kind === 'unread') {
    // Only holes follow `from`. Each read covers twice that range, so that a long row of holes takes few reads.
    const least =
      latest === undefined
        ? from
        : Math.max(first, position.offset - maxHistory + 1, from - offsets + 1);
    return failure ?? { kind: 'read', from: least };
  }
  if (found.kind === 'gone') return found.reason;
  const skipped = from - first;
  return { kind: 'replay', recovered: true, offsets, ...(skipped > 0 && { skipped }) };
}

/**
 * The plan until the node knows which of two epochs has ended, the client's or its own; undefined if it will never know. While
 * Redis cannot be asked, the node must not take the client back to an epoch that another node has left.
 */
function unconfirmed({ failure }: ReadProgress): ReplayPlan | undefined {
  if (failure === undefined) return { kind: 'confirm-end' };
  return failure === 'unavailable' ? { kind: 'reject', code: failure } : undefined;
}

/** The offset of the newest publication, at least `first`, before the holes at the end; `first` if there are only holes. */
function newestFrom(first: number, { offset }: Position, source: ReplaySource): number {
  for (let from = offset; from > first; ) {
    const hole = source.holeFrom(from);
    if (hole === undefined) return from;
    from = hole - 1;
  }
  return first;
}

/** Plans the latest `wanted` publications, or as many as there are. */
function snapshot(
  wanted: number,
  position: Position,
  source: ReplaySource,
  { failure }: ReadProgress,
  reason: ErrorCode | undefined,
): ReplayPlan {
  const from = Math.max(1, position.offset - wanted + 1);
  const found = source.find(from);
  if (found.kind === 'held') {
    const outcome = reason === undefined ? { recovered: true } : { recovered: false, reason };
    return { kind: 'replay', ...outcome, offsets: position.offset - from + 1 };
  }
  const least = source.trimmedBefore;
  if (failure === undefined && least > from && found.oldest > least) {
    // Redis holds more of the history than the worker, and it can be read.
    if (source.find(least).kind === 'unread') return { kind: 'read', from: least };
  }
  const fault = found.kind === 'unread' ? failure : found.reason;
  if (fault === undefined) return { kind: 'read', from };
  const offsets = position.offset - found.oldest + 1;
  return { kind: 'replay', recovered: false, reason: reason ?? fault, offsets };
}

/**
 * What the reply says about a plan.
 *
 * @param replayed the number of publications that the client is sent.
 */
export function outcomeOf(
  { recovered, reason, skipped }: Extract<ReplayPlan, { kind: 'replay' }>,
  replayed: number,
) {
  if (recovered === undefined) return {};
  return {
    ...{ recovered, replayed },
    ...(skipped !== undefined && { skipped }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** A plan that replays nothing, for this reason. */
export function notRecovered(reason: ErrorCode): ReplayPlan {
  return { kind: 'replay', recovered: false, reason, offsets: 0 };
}
