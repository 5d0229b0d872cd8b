import { isChannelName, isReservedChannel } from './channel.ts';
import type { ErrorCode } from './error-codes.ts';
import {
  LATEST_INTERVALS_MS,
  MAX_CHANNEL_BYTES,
  MAX_CHANNELS_PER_REQUEST,
  MAX_REQUEST_ID_BYTES,
} from './limits.ts';
import { isEpoch, isOffset, type Position } from './position.ts';

/** A client's name for a request, which the answer repeats: an integer, or a string of up to 64 bytes. */
export type RequestId = number | string;

/** A subscription to the latest publication of a channel instead of to all of them. */
export interface Latest {
  /** How often at most, in ms: one of {@link LATEST_INTERVALS_MS}. */
  readonly everyMs: number;
}

/** One channel of a `subscribe` request, already checked. */
export interface ChannelRequest {
  readonly channel: string;
  /** Continue after this position. */
  readonly since: Position | undefined;
  /** Begin with this many of the latest publications. */
  readonly history: number | undefined;
  /** Undefined: all publications. */
  readonly latest?: Latest | undefined;
}

/** A channel of a request that cannot be served, with the reason. */
export interface RejectedChannel {
  /** The name that was asked for, cut to 128 characters. */
  readonly channel: string;
  readonly code: ErrorCode;
  /** When it may be asked for again, in ms from now, where that is known. */
  readonly retryAfterMs?: number;
}

export interface AuthRequest {
  readonly type: 'auth';
  readonly id: RequestId | undefined;
  readonly token: string;
}

export interface SubscribeRequest {
  readonly type: 'subscribe';
  readonly id: RequestId | undefined;
  readonly channels: readonly ChannelRequest[];
  readonly rejected: readonly RejectedChannel[];
}

export interface UnsubscribeRequest {
  readonly type: 'unsubscribe';
  readonly id: RequestId | undefined;
  readonly channels: readonly string[];
}

export interface PingRequest {
  readonly type: 'ping';
  readonly id: RequestId | undefined;
}

export type ClientMessage = AuthRequest | SubscribeRequest | UnsubscribeRequest | PingRequest;

/** Why a client's text is not a request. */
export interface MessageFault {
  /** The request's id, where one could be read. */
  readonly id: RequestId | undefined;
  readonly code: ErrorCode;
  readonly message: string;
}

export type ParsedClientMessage =
  | { readonly ok: true; readonly message: ClientMessage }
  | { readonly ok: false; readonly fault: MessageFault };

/**
 * Reads one text frame of a client. It never throws: a mistake of the client is returned as a fault with a code. Unknown
 * fields are ignored. A channel whose name, `since`, `history` or `latest` is malformed does not spoil its request: `subscribe` lists it
 * as rejected, and `unsubscribe` leaves it out, since nobody can hold it. The caller must check whether it offers a
 * channel, and whether `history` is within its limit.
 *
 * @param text the frame's payload. The caller must bound its size.
 */
export function parseClientMessage(text: string): ParsedClientMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fault(undefined, 'bad_json', 'The text is not valid JSON.');
  }
  if (!isRecord(value)) return fault(undefined, 'bad_message', 'A request must be a JSON object.');
  const { id } = value;
  if (id !== undefined && !isRequestId(id)) {
    return fault(
      undefined,
      'bad_id',
      `\`id\` must be an integer from -(2^53 - 1) to 2^53 - 1, or a string of at most ${MAX_REQUEST_ID_BYTES} bytes.`,
    );
  }
  switch (value.type) {
    case 'subscribe':
      return parseSubscribe(id, value.channels);
    case 'unsubscribe':
      return parseUnsubscribe(id, value.channels);
    case 'ping':
      return { ok: true, message: { type: 'ping', id } };
    case 'auth':
      return typeof value.token === 'string'
        ? { ok: true, message: { type: 'auth', id, token: value.token } }
        : fault(id, 'bad_message', '`auth` needs a `token`.');
    default:
      return fault(id, 'unknown_type', '`type` must be subscribe, unsubscribe, ping or auth.');
  }
}

/** Why a client may not subscribe to a channel of this name; undefined when it may. */
export function channelNameFault(name: string): ErrorCode | undefined {
  if (!isChannelName(name)) return 'bad_channel';
  if (isReservedChannel(name)) return 'reserved_channel';
  return undefined;
}

function parseSubscribe(id: RequestId | undefined, value: unknown): ParsedClientMessage {
  const list = channelList(id, value);
  if (!list.ok) return list;
  const channels: ChannelRequest[] = [];
  const rejected: RejectedChannel[] = [];
  for (const item of list.items) {
    const request = typeof item === 'string' ? { channel: item } : item;
    if (!isRecord(request) || typeof request.channel !== 'string') {
      return fault(
        id,
        'bad_message',
        'Each channel must be a name, or an object with a `channel`.',
      );
    }
    const { channel, since, history, latest } = request;
    const code =
      channelNameFault(channel) ??
      sinceFault(since) ??
      historyFault(history) ??
      latestFault(latest);
    if (code !== undefined) {
      rejected.push({ channel: channel.slice(0, MAX_CHANNEL_BYTES), code });
      continue;
    }
    channels.push({
      channel,
      since: isPosition(since) ? { epoch: since.epoch, offset: since.offset } : undefined,
      history: isOffset(history) ? history : undefined,
      latest: isLatest(latest) ? { everyMs: latest.everyMs } : undefined,
    });
  }
  return { ok: true, message: { type: 'subscribe', id, channels, rejected } };
}

function parseUnsubscribe(id: RequestId | undefined, value: unknown): ParsedClientMessage {
  const list = channelList(id, value);
  if (!list.ok) return list;
  const channels: string[] = [];
  for (const item of list.items) {
    if (typeof item !== 'string') return fault(id, 'bad_message', 'Each channel must be a name.');
    if (isChannelName(item)) channels.push(item);
  }
  return { ok: true, message: { type: 'unsubscribe', id, channels } };
}

type ChannelList =
  | { readonly ok: true; readonly items: readonly unknown[] }
  | { readonly ok: false; readonly fault: MessageFault };

function channelList(id: RequestId | undefined, value: unknown): ChannelList {
  if (!Array.isArray(value) || value.length === 0) {
    return fault(id, 'bad_message', '`channels` must be a list that is not empty.');
  }
  if (value.length > MAX_CHANNELS_PER_REQUEST) {
    return fault(
      id,
      'too_many_channels_per_request',
      `A request may name at most ${MAX_CHANNELS_PER_REQUEST} channels.`,
    );
  }
  return { ok: true, items: value };
}

function sinceFault(since: unknown): ErrorCode | undefined {
  return since === undefined || isPosition(since) ? undefined : 'bad_since';
}

function historyFault(history: unknown): ErrorCode | undefined {
  return history === undefined || isOffset(history) ? undefined : 'bad_history';
}

function latestFault(latest: unknown): ErrorCode | undefined {
  return latest === undefined || isLatest(latest) ? undefined : 'bad_latest';
}

function isLatest(value: unknown): value is Latest {
  return isRecord(value) && LATEST_INTERVALS_MS.includes(value.everyMs as number);
}

function isPosition(value: unknown): value is Position {
  return isRecord(value) && isEpoch(value.epoch) && isOffset(value.offset);
}

function isRequestId(value: unknown): value is RequestId {
  if (typeof value === 'number') return Number.isSafeInteger(value);
  return typeof value === 'string' && utf8Length(value) <= MAX_REQUEST_ID_BYTES;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fault(id: RequestId | undefined, code: ErrorCode, message: string) {
  return { ok: false, fault: { id, code, message } } as const;
}
