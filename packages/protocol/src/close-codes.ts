/** What a client should do after a close. */
export type CloseAction = 'resume' | 'back-off' | 'renew' | 'stop';

/** One reason why a connection ends. */
export interface CloseCodeRow {
  /** The WebSocket close code. */
  readonly code: number;
  /**
   * `resume`: reconnect after a short random delay and continue. `back-off`: reconnect, but wait longer each time. `renew`: get a
   * new token, then reconnect and continue. `stop`: another try would end in the same way.
   */
  readonly action: CloseAction;
  /** One line for people. */
  readonly meaning: string;
}

/**
 * Every reason for which an edge closes a connection, or records one as closed. The name is the close frame's reason, the log
 * field and the metric label. Our own codes from 4000 to 4399 invite a reconnect, and those from 4400 to 4999 do not, so a
 * client that does not know a code still does the right thing. A test holds the table in docs/codes.md to this one.
 */
export const CLOSE_CODES = {
  normal: row(1000, 'stop', 'The client was done.'),
  going_away: row(1001, 'resume', 'The client left the page, or the peer is going away.'),
  protocol_error: row(1002, 'stop', 'The client broke RFC 6455.'),
  connection_lost: row(1006, 'resume', 'The connection ended without a close frame.'),
  invalid_text: row(1007, 'stop', 'A text frame was not UTF-8.'),
  policy_violation: row(1008, 'stop', 'A message came in too many fragments or chunks.'),
  message_too_large: row(1009, 'stop', 'A frame was larger than `maxMessageBytes`.'),
  internal: row(1011, 'back-off', 'The node has a fault, which it logged.'),
  draining: row(1012, 'resume', 'The node shuts down; reconnect and be served by another.'),
  silent: row(4001, 'back-off', 'Nothing was subscribed to within the time allowed.'),
  heartbeat_timeout: row(4002, 'resume', 'The client answered no ping and read nothing.'),
  slow: row(4008, 'resume', 'The client read more slowly than its channels publish.'),
  rate_limited: row(
    4029,
    'back-off',
    'The client went on sending after it was told to slow down, or made too many mistakes.',
  ),
  unauthorized: row(
    4401,
    'stop',
    'The token was refused, or none came in time. Try once with a new token.',
  ),
  token_expired: row(4402, 'renew', 'The token has expired, and no new one came within the grace.'),
} as const satisfies Record<string, CloseCodeRow>;

/** A name out of {@link CLOSE_CODES}. */
export type CloseReason = keyof typeof CLOSE_CODES;

function row(code: number, action: CloseAction, meaning: string): CloseCodeRow {
  return { code, action, meaning };
}
