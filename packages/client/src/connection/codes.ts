import type { CloseAction } from '@tradewind/protocol';

/**
 * The close codes of docs/codes.md, without their meanings, which would take a tenth of the SDK's size. A test holds them to
 * `packages/protocol`.
 */
const CLOSES: Readonly<Record<number, string>> = {
  1000: 'normal',
  1001: 'going_away',
  1002: 'protocol_error',
  1006: 'connection_lost',
  1007: 'invalid_text',
  1008: 'policy_violation',
  1009: 'message_too_large',
  1011: 'internal',
  1012: 'draining',
  4001: 'silent',
  4002: 'heartbeat_timeout',
  4008: 'slow',
  4029: 'rate_limited',
  4401: 'unauthorized',
  4402: 'token_expired',
};

export const CONNECTION_LOST = 1006;
export const UNAUTHORIZED = 4401;
export const TOKEN_EXPIRED = 4402;

/** A close frame without a code. */
const NO_CODE = 1005;

const BACK_OFF: readonly number[] = [1011, 4001, 4029];
const RESUME: readonly number[] = [1001, 1006, 1012, 4002, 4008];

/** What a close code is called, and what to do after it. */
export function closeMeaning(code: number): {
  readonly code: number;
  readonly name: string;
  readonly action: CloseAction;
} {
  if (code === NO_CODE || code === 0) return closeMeaning(CONNECTION_LOST);
  const name = CLOSES[code];
  return { code, name: name ?? 'unknown', action: actionOf(code, name !== undefined) };
}

function actionOf(code: number, isKnown: boolean): CloseAction {
  if (code === TOKEN_EXPIRED) return 'renew';
  if (RESUME.includes(code)) return 'resume';
  const isInvited = isKnown ? BACK_OFF.includes(code) : code < 4_400 || code > 4_999;
  return isInvited ? 'back-off' : 'stop';
}

const RETRYABLE =
  'draining internal node_channels_full node_full rate_limited request_timeout storage_full too_late unavailable'.split(
    ' ',
  );

/** Whether a request that was refused with this code may succeed later without a change. */
export function isRetryable(code: string): boolean {
  return RETRYABLE.includes(code);
}
