import type { CloseAction } from '@tradewind/protocol';

/**
 * Names and actions of the close codes of docs/codes.md, without their meanings, which would take a tenth of the SDK's
 * size. A test holds them to `packages/protocol`.
 */
const CLOSES: Readonly<Record<number, readonly [name: string, action: CloseAction]>> = {
  1000: ['normal', 'stop'],
  1001: ['going_away', 'resume'],
  1002: ['protocol_error', 'stop'],
  1006: ['connection_lost', 'resume'],
  1007: ['invalid_text', 'stop'],
  1008: ['policy_violation', 'stop'],
  1009: ['message_too_large', 'stop'],
  1011: ['internal', 'back-off'],
  1012: ['draining', 'resume'],
  4001: ['silent', 'back-off'],
  4002: ['heartbeat_timeout', 'resume'],
  4008: ['slow', 'resume'],
  4029: ['rate_limited', 'back-off'],
  4401: ['unauthorized', 'stop'],
  4402: ['token_expired', 'renew'],
};

export const CONNECTION_LOST = 1006;
export const UNAUTHORIZED = 4401;
export const TOKEN_EXPIRED = 4402;

/** A close frame without a code. */
const NO_CODE = 1005;

/** What a close code is called, and what to do after it. */
export function closeMeaning(code: number): {
  readonly code: number;
  readonly name: string;
  readonly action: CloseAction;
} {
  const known = code === NO_CODE || code === 0 ? CONNECTION_LOST : code;
  const [name, action] = CLOSES[known] ?? [
    'unknown',
    known >= 4_400 && known <= 4_999 ? 'stop' : 'back-off',
  ];
  return { code: known, name, action };
}

const RETRYABLE =
  'draining internal node_channels_full node_full rate_limited request_timeout storage_full too_late unavailable'.split(
    ' ',
  );

/** Whether a request that was refused with this code may succeed later without a change. */
export function isRetryable(code: string): boolean {
  return RETRYABLE.includes(code);
}
