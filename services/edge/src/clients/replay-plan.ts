import type { ChannelRequest, ErrorCode, Position } from '@tradewind/protocol';
import { END_OF_CHANNEL } from '../feed.ts';
import type { ReplaySource } from './replay-source.ts';

/** What a subscriber gets of a channel's past. */
export type ReplayPlan =
  | {
      readonly kind: 'replay';
      /** Undefined when nothing was asked for. */
      readonly recovered: boolean | undefined;
      /** Why it is not recovered. */
      readonly reason?: ErrorCode;
      /** How many of the latest offsets: their publications, and the gaps between them, are all held here. */
      readonly offsets: number;
    }
  /** The node has to be asked for publications from this offset on; see `Feed.readHistory`. */
  | { readonly kind: 'read'; readonly from: number };

/** What was asked of the node for a client since its request came. */
export interface ReadProgress {
  /** Whether the node was asked where the channel ends. */
  end: 'unread' | 'pending' | 'read';
  /** Why nothing more is asked: what is not at hand cannot be had. */
  failure: ErrorCode | undefined;
}

/**
 * Plans what to replay to a subscriber, by its request and by what there is. `since` is continued whole or
 * not at all; then `history`, if it was asked for too, is what the client can begin anew with.
 *
 * @param maxHistory publications that are replayed at most; 0 for no history.
 * @param asked whether it is certain that the channel has come no further. It matters to a client that says
 * it has: another node may have brought it further than this one knows of.
 */
export function planReplay(
  request: ChannelRequest,
  history: ReplaySource,
  maxHistory: number,
  asked: ReadProgress,
): ReplayPlan {
  const { since, history: wanted } = request;
  const { position } = history;
  if (since === undefined && wanted === undefined) {
    return { kind: 'replay', recovered: undefined, offsets: 0 };
  }
  if (maxHistory === 0) return notRecovered('not_available');
  if (position === undefined) {
    if (since === undefined) return { kind: 'replay', recovered: true, offsets: 0 };
    if (asked.end === 'read') return notRecovered('no_history');
    return asked.failure === undefined
      ? { kind: 'read', from: END_OF_CHANNEL }
      : notRecovered(asked.failure);
  }
  if (since === undefined) return snapshot(wanted ?? 0, position, history, asked, undefined);
  const continued = continueFrom(since, position, history, maxHistory, asked);
  if (typeof continued !== 'string') return continued;
  return snapshot(wanted ?? 0, position, history, asked, continued);
}

function continueFrom(
  since: Position,
  position: Position,
  history: ReplaySource,
  maxHistory: number,
  { end, failure }: ReadProgress,
): ReplayPlan | ErrorCode {
  const missed = position.offset - since.offset;
  if (since.epoch !== position.epoch || missed < 0) {
    if (end !== 'read') return failure ?? { kind: 'read', from: END_OF_CHANNEL };
    return since.epoch === position.epoch ? 'offset_ahead' : 'epoch_changed';
  }
  if (missed > maxHistory) return 'history_too_long';
  const from = since.offset + 1;
  const found = history.find(from);
  if (found.kind === 'unread') return failure ?? { kind: 'read', from };
  if (found.kind === 'gone') return found.reason;
  return { kind: 'replay', recovered: true, offsets: missed };
}

/** The latest publications, as many as were asked for or as there are. */
function snapshot(
  wanted: number,
  position: Position,
  history: ReplaySource,
  { failure }: ReadProgress,
  reason: ErrorCode | undefined,
): ReplayPlan {
  const from = Math.max(1, position.offset - wanted + 1);
  const found = history.find(from);
  if (found.kind === 'held') {
    const outcome = reason === undefined ? { recovered: true } : { recovered: false, reason };
    return { kind: 'replay', ...outcome, offsets: position.offset - from + 1 };
  }
  const least = history.trimmedBefore;
  if (failure === undefined && least > from && found.oldest > least) {
    // What is left of the history is not all here, and can be asked for.
    if (history.find(least).kind === 'unread') return { kind: 'read', from: least };
  }
  const fault = found.kind === 'unread' ? failure : found.reason;
  if (fault === undefined) return { kind: 'read', from };
  const offsets = position.offset - found.oldest + 1;
  return { kind: 'replay', recovered: false, reason: reason ?? fault, offsets };
}

/**
 * What a plan means for the client, as its answer says it.
 *
 * @param replayed publications that it is sent by it.
 */
export function outcomeOf(
  { recovered, reason }: Extract<ReplayPlan, { kind: 'replay' }>,
  replayed: number,
) {
  if (recovered === undefined) return {};
  return { recovered, replayed, ...(reason === undefined ? {} : { reason }) };
}

/** Nothing is replayed, for this reason. */
export function notRecovered(reason: ErrorCode): ReplayPlan {
  return { kind: 'replay', recovered: false, reason, offsets: 0 };
}
