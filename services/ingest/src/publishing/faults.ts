import { ERROR_CODES, type ErrorCode } from '@tradewind/protocol';
import { HttpError, type HttpErrorDetails } from '@tradewind/runtime';

/** How long a caller should wait before it tries again, in s, when nobody knows better. */
export const RETRY_AFTER_SECONDS = 1;

/** The row of an error code with what happened this time; without `message`, what it always means. */
export function fault(code: ErrorCode, message?: string): HttpErrorDetails {
  const { status, retryable, meaning } = ERROR_CODES[code];
  return { status, code, message: message ?? meaning, retryable };
}

/** An answer to the whole request. A retryable one says when to come back. */
export function refusal(
  code: ErrorCode,
  message?: string,
  retryAfterSeconds = RETRY_AFTER_SECONDS,
): HttpError {
  const details = fault(code, message);
  return new HttpError(details, retryHeaders(details, retryAfterSeconds));
}

/** The headers that belong to an error besides its body. */
export function retryHeaders(
  { status, retryable }: HttpErrorDetails,
  retryAfterSeconds = RETRY_AFTER_SECONDS,
): Readonly<Record<string, string>> {
  if (status === 401) return { 'www-authenticate': 'Bearer' };
  return retryable ? { 'retry-after': String(retryAfterSeconds) } : {};
}
