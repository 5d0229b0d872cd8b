import type { Replay } from '@tradewind/fanout';
import type { ChannelRequest, ErrorCode, Position } from '@tradewind/protocol';
import type { ChannelHistory } from './channel-history.ts';
import { END_OF_CHANNEL } from './feed.ts';

/** What a subscriber gets of a channel's past. */
export type ReplayPlan =
  | {
      readonly kind: 'replay';
      /** Undefined when nothing was asked for. */
      readonly recovered: boolean | undefined;
      /** Why it is not recovered. */
      readonly reason?: ErrorCode;
      readonly replayed: number;
      readonly stretches: readonly Replay[];
    }
  /** The node has to be asked for publications from this offset on; see `Feed.history`. */
  | { readonly kind: 'ask'; readonly from: number };

/** Whether the node was asked for a client where its channel ends; in the end, why it could not tell. */
export type EndQuestion = 'unasked' | 'asked' | 'answered' | ErrorCode;

/**
 * Plans what to replay to a subscriber, by its request and by what there is. `since` is continued whole or
 * not at all; then `history`, if it was asked for too, is what the client can begin anew with.
 *
 * @param maxHistory publications that are replayed at most; 0 for no history.
 * @param end whether it is certain that the channel has come no further. It matters to a client that says
 * it has: another node may have brought it further than this one knows of.
 */
export function planReplay(
  request: ChannelRequest,
  history: ChannelHistory,
  maxHistory: number,
  end: EndQuestion,
): ReplayPlan {
  const { since, history: wanted } = request;
  const { position } = history;
  if (since === undefined && wanted === undefined) {
    return { kind: 'replay', recovered: undefined, replayed: 0, stretches: [] };
  }
  if (maxHistory === 0) return notRecovered('not_available');
  if (position === undefined) {
    return wanted !== undefined && since === undefined
      ? { kind: 'replay', recovered: true, replayed: 0, stretches: [] }
      : notRecovered('no_history');
  }
  if (since === undefined) return snapshot(wanted ?? 0, position, history, undefined);
  const continued = continueFrom(since, position, history, maxHistory, end);
  if (typeof continued !== 'string') return continued;
  return snapshot(wanted ?? 0, position, history, continued);
}

function continueFrom(
  since: Position,
  position: Position,
  history: ChannelHistory,
  maxHistory: number,
  end: EndQuestion,
): ReplayPlan | ErrorCode {
  const missed = position.offset - since.offset;
  if (since.epoch !== position.epoch || missed < 0) {
    if (end === 'unasked' || end === 'asked') return { kind: 'ask', from: END_OF_CHANNEL };
    if (end !== 'answered') return end;
    return since.epoch === position.epoch ? 'offset_ahead' : 'epoch_changed';
  }
  if (missed > maxHistory) return 'history_too_long';
  const found = history.stretchesFrom(since.offset + 1);
  if (found.kind === 'ask') return found;
  if (found.kind === 'gone') return found.reason;
  return { kind: 'replay', recovered: true, replayed: missed, stretches: found.stretches };
}

/** The latest publications, as many as were asked for or as there are. */
function snapshot(
  wanted: number,
  position: Position,
  history: ChannelHistory,
  reason: ErrorCode | undefined,
): ReplayPlan {
  const from = Math.max(1, position.offset - wanted + 1);
  const found = history.stretchesFrom(from);
  if (found.kind === 'ask') return found;
  if (found.kind === 'held') {
    const replayed = position.offset - from + 1;
    const outcome = reason === undefined ? { recovered: true } : { recovered: false, reason };
    return { kind: 'replay', ...outcome, replayed, stretches: found.stretches };
  }
  const oldest = history.oldestKnown;
  const rest = history.stretchesFrom(oldest);
  return {
    kind: 'replay',
    recovered: false,
    reason: reason ?? found.reason,
    replayed: rest.kind === 'held' ? position.offset - oldest + 1 : 0,
    stretches: rest.kind === 'held' ? rest.stretches : [],
  };
}

function notRecovered(reason: ErrorCode): ReplayPlan {
  return { kind: 'replay', recovered: false, reason, replayed: 0, stretches: [] };
}
