import { ERROR_CODES, type ErrorCode } from '@tradewind/protocol';
import { HttpError, type HttpErrorDetails } from '@tradewind/runtime';

/** How long a caller should wait before the next attempt, in s, if nothing more exact is known. */
export const RETRY_AFTER_SECONDS = 1;

/** Returns the error of a code. @param message what happened this time; by default the code's usual meaning. */
export function fault(code: ErrorCode, message?: string): HttpErrorDetails {
  const { status, retryable, meaning } = ERROR_CODES[code];
  return { status, code, message: message ?? meaning, retryable };
}

/** Returns an error that answers the whole request. A retryable one says when to repeat it. */
export function refusal(
  code: ErrorCode,
  message?: string,
  retryAfterSeconds = RETRY_AFTER_SECONDS,
): HttpError {
  const details = fault(code, message);
  return new HttpError(details, retryHeaders(details, retryAfterSeconds));
}

/** Returns the headers of an error's answer. */
export function retryHeaders(
  { status, retryable }: HttpErrorDetails,
  retryAfterSeconds = RETRY_AFTER_SECONDS,
): Readonly<Record<string, string>> {
  if (status === 401) return { 'www-authenticate': 'Bearer' };
  return retryable ? { 'retry-after': String(retryAfterSeconds) } : {};
}
