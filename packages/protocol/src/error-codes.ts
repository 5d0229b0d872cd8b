/** What one error code means, wherever it appears: on the wire, over HTTP, in logs and metrics. */
export interface ErrorCodeRow {
  /** The HTTP status that an HTTP interface answers with. */
  readonly status: number;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
  /** One line for people. */
  readonly meaning: string;
}

/**
 * Every error that Tradewind answers with. The codes are stable, and the messages are not. A test holds the table in
 * docs/codes.md to this one.
 */
export const ERROR_CODES = {
  auth_required: row(401, false, 'This node asks who you are: send `auth` with a token first.'),
  bad_channel: row(
    400,
    false,
    'A channel is 1 to 128 letters, digits and `_.:/@-`, and begins with a letter or a digit.',
  ),
  bad_handshake: row(400, false, 'The WebSocket handshake does not follow RFC 6455.'),
  bad_history: row(400, false, '`history` is not an integer within the announced limit.'),
  bad_id: row(400, false, '`id` is neither an integer nor a string of at most 64 bytes.'),
  bad_idempotency_key: row(
    400,
    false,
    'The key is not 1 to 128 printable ASCII characters without spaces, quotes and backslashes.',
  ),
  bad_json: row(400, false, 'The text is not valid JSON.'),
  bad_latest: row(400, false, '`latest` needs an `everyMs` of 100, 250, 500, 1000 or 2000.'),
  bad_message: row(400, false, 'The JSON does not have the form that this request needs.'),
  bad_payload: row(400, false, 'The payload is not UTF-8, or not what this route accepts.'),
  bad_since: row(400, false, '`since` needs an epoch and an offset.'),
  bad_trade: row(400, false, 'The trade lacks a field, or a field has the wrong form.'),
  cancelled: row(409, false, 'An unsubscribe came before the subscription was confirmed.'),
  channel_not_allowed: row(
    403,
    false,
    'This node does not offer the channel, or the token gives no right to it.',
  ),
  draining: row(503, true, 'This node is shutting down; connect again elsewhere.'),
  epoch_changed: row(410, false, 'The channel has a new epoch; `since` belongs to an earlier one.'),
  expectation_failed: row(417, false, 'A request may expect `100-continue` only.'),
  history_not_allowed: row(403, false, 'The token gives no right to the history of the channel.'),
  history_too_long: row(
    413,
    false,
    'The request asks for more of one channel than this node replays, in publications or in bytes.',
  ),
  history_trimmed: row(
    410,
    false,
    'The history does not reach back so far any more. If only some publications in it are missing, they are a `gap` in the replay instead.',
  ),
  host_not_allowed: row(
    421,
    false,
    'This port asks for no token, so it answers only to loopback names.',
  ),
  internal: row(500, true, 'The node has a fault, which it logged.'),
  message_too_large: row(413, false, 'The request is larger than the announced limit.'),
  method_not_allowed: row(405, false, 'The path exists, but not for this HTTP method.'),
  no_history: row(404, false, 'Nothing was ever published to the channel with an offset.'),
  node_channels_full: row(
    503,
    true,
    'This node holds as many distinct channels as it may; try again later.',
  ),
  node_full: row(
    503,
    true,
    'This node holds as many connections as it may; try again, or another node.',
  ),
  not_available: row(501, false, 'The feature is part of the protocol, but not of this release.'),
  not_found: row(404, false, 'This path does not exist.'),
  offset_ahead: row(409, false, '`since` lies beyond the last publication of the channel.'),
  origin_not_allowed: row(403, false, 'Pages of this origin may not connect here.'),
  publication_too_large: row(413, false, 'The payload is larger than the limit.'),
  rate_limited: row(429, true, 'The client sends too many requests; it must slow down.'),
  request_timeout: row(408, true, 'The request came too slowly.'),
  reserved_channel: row(403, false, 'Names that begin with `tw:` are reserved.'),
  right_missing: row(403, false, 'The token does not give the right that this route needs.'),
  storage_full: row(503, true, 'Redis has no memory left for the publication.'),
  token_expired: row(401, false, 'The token has expired; get a new one.'),
  too_late: row(
    503,
    true,
    'The publication was too old when Redis came to it, so Redis did not publish it.',
  ),
  too_many_channels: row(409, false, 'The connection holds as many channels as it may.'),
  too_many_channels_per_request: row(400, false, 'One request may name at most 128 channels.'),
  unauthorized: row(401, false, 'The request needs a valid bearer token.'),
  unavailable: row(
    503,
    true,
    'Redis does not answer right now, or the node has no keys to verify tokens with.',
  ),
  unknown_type: row(400, false, 'There is no request of this type.'),
  unsupported_media_type: row(
    415,
    false,
    'The body is compressed, or in a charset that is not UTF-8.',
  ),
  unsupported_protocol: row(
    400,
    false,
    'This node speaks none of the offered WebSocket subprotocols.',
  ),
  unsupported_version: row(
    426,
    false,
    'This node speaks only version 13 of the WebSocket protocol.',
  ),
  upgrade_required: row(426, false, 'This path is for WebSockets.'),
} as const satisfies Record<string, ErrorCodeRow>;

/** A stable name out of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

function row(status: number, retryable: boolean, meaning: string): ErrorCodeRow {
  return { status, retryable, meaning };
}
