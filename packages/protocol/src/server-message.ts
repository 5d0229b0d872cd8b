import type { Latest, RejectedChannel, RequestId } from './client-message.ts';
import { ERROR_CODES, type ErrorCode } from './error-codes.ts';

/** The subprotocol that is spoken when a client asks for none. */
export const JSON_SUBPROTOCOL = 'tradewind.v1.json';

/** The path on which edges accept WebSockets. */
export const WEBSOCKET_PATH = '/ws';

/** What a node allows; announced in `welcome`. */
export interface AnnouncedLimits {
  readonly maxMessageBytes: number;
  readonly maxChannels: number;
  readonly maxChannelsPerRequest: number;
  readonly maxHistory: number;
  readonly maxPublicationBytes: number;
}

export interface Welcome {
  readonly type: 'welcome';
  readonly session: string;
  readonly node: string;
  /** The node's clock, ms since the Unix epoch. */
  readonly serverTime: number;
  /** The subprotocol that is spoken on this connection. */
  readonly protocol: string;
  readonly auth: 'none' | 'required';
  readonly heartbeat: { readonly clientPingMs: number; readonly timeoutMs: number };
  /**
   * `spreadMs`: the time over which the clients of this node must spread their return, should it end without a notice. It
   * grows with the number of connections; in ms, 1 at least.
   */
  readonly reconnect: { readonly spreadMs: number };
  readonly limits: AnnouncedLimits;
}

/** One channel that a client now receives. */
export interface SubscribedChannel {
  readonly channel: string;
  /** The node's small number for the channel, from 1. Binary frames have it instead of the name. */
  readonly ref: number;
  /** The base of the times in binary frames of the channel, ms since the Unix epoch. Absent where frames are not binary. */
  readonly ts?: number;
  /** Absent while the channel has no history. */
  readonly epoch?: string;
  readonly offset?: number;
  /** Whether all of what `since` or `history` asked for follows. Absent when the request had neither. */
  readonly recovered?: boolean;
  /** How many publications of history follow. */
  readonly replayed?: number;
  /** Why `recovered` is false. */
  readonly reason?: ErrorCode;
  /** The client is sent the latest publication in each interval. Absent: all of them. */
  readonly latest?: Latest;
  /** How many offsets between `since` and the publication that follows are left out, because of `latest`. Absent: none. */
  readonly skipped?: number;
}

export interface Subscribed {
  readonly type: 'subscribed';
  readonly id?: RequestId | undefined;
  readonly channels: readonly SubscribedChannel[];
  readonly rejected?: readonly RejectedChannel[];
  /** Whether this is the last answer to the request. */
  readonly done: boolean;
}

/** The answer to `auth`, and to a token in the handshake. */
export interface Authenticated {
  readonly type: 'authenticated';
  readonly id?: RequestId | undefined;
  readonly subject: string;
  /** Time until the token expires, in ms. */
  readonly expiresInMs: number;
}

/** The token expires soon: a new one must be sent by `auth`. */
export interface Expiring {
  readonly type: 'expiring';
  readonly expiresInMs: number;
  /** Time after that until the connection is closed, in ms. */
  readonly graceMs: number;
}

/**
 * A publication of a channel, against which later ones are deflated. It comes before the first frame that needs it, and only where
 * frames are binary. The latest two of a channel are live.
 */
export interface Reference {
  readonly type: 'reference';
  /** The channel's number in `subscribed`. */
  readonly ref: number;
  /** From 1. The next reference of the channel has the next number. */
  readonly id: number;
  /** The publication's payload, a JSON text of {@link MAX_REFERENCE_BYTES} in UTF-8 at most. */
  readonly data: string;
}

export interface Unsubscribed {
  readonly type: 'unsubscribed';
  readonly id?: RequestId | undefined;
  readonly channels: readonly string[];
  /** Present when the client did not ask to be unsubscribed. */
  readonly reason?: ErrorCode;
}

export interface Pong {
  readonly type: 'pong';
  readonly id?: RequestId | undefined;
  readonly serverTime: number;
}

/** Why publications did not arrive. */
export type GapReason = 'slow' | 'trimmed' | 'unreadable' | 'too_large' | 'link';

export interface Gap {
  readonly type: 'gap';
  readonly channel: string;
  readonly epoch?: string;
  readonly from?: number;
  readonly to?: number;
  /** How many; absent when it cannot be known. */
  readonly lost?: number;
  readonly reason: GapReason;
}

/** Why a new epoch begins: `started` says that the channel had no offsets before, so nothing was lost. */
export type ResyncReason = 'started' | 'history_lost';

export interface Resync {
  readonly type: 'resync';
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  readonly reason: ResyncReason;
}

export interface Degraded {
  readonly type: 'degraded';
  /** When the node was cut off from its source, in ms since the Unix epoch. */
  readonly since: number;
  /** Those of the client's channels that are cut off; absent: all are. Only where the source is a Redis Cluster. */
  readonly channels?: readonly string[];
}

export interface Restored {
  readonly type: 'restored';
}

/** Why a client must leave: the node ends, or it keeps running and has more clients than others. */
export type ReconnectReason = 'draining' | 'rebalancing';

export interface Reconnect {
  readonly type: 'reconnect';
  /** When the client should open a new connection, in ms from now. */
  readonly afterMs: number;
  /** When the node closes this connection, in ms from now. */
  readonly deadlineMs: number;
  readonly reason: ReconnectReason;
}

export interface ErrorMessage {
  readonly type: 'error';
  readonly id?: RequestId | undefined;
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
}

export type ServerMessage =
  | Welcome
  | Authenticated
  | Expiring
  | Subscribed
  | Reference
  | Unsubscribed
  | Pong
  | Gap
  | Resync
  | Degraded
  | Restored
  | Reconnect
  | ErrorMessage;

/** A publication as a client receives it: the one server frame without `type`. */
export interface PublicationMessage {
  readonly seq: number;
  readonly channel: string;
  readonly offset?: number;
  /** When it was published, ms since the Unix epoch. */
  readonly ts: number;
  /**
   * How many publications of the channel came since the last one that this subscription was sent, and were left out because of
   * `latest`. Absent: none.
   */
  readonly skipped?: number;
  readonly data: unknown;
}

const encoder = new TextEncoder();

/** One control frame's payload. The caller owns the bytes and may share them among clients. */
export function encodeServerMessage(message: ServerMessage): Uint8Array {
  return encoder.encode(JSON.stringify(message));
}

/** An `error` message. The table of codes says whether a retry makes sense. */
export function errorMessage(
  code: ErrorCode,
  message: string,
  id: RequestId | undefined,
  retryAfterMs?: number,
): ErrorMessage {
  const { retryable } = ERROR_CODES[code];
  return {
    type: 'error',
    id,
    code,
    message,
    retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}
