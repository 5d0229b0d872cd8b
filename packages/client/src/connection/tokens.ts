import { deferred } from '../deferred.ts';
import { AuthError, TimeoutError, TokenError } from '../errors.ts';
import type { Surroundings } from '../surroundings.ts';
import type { TokenContext, TokenSource } from '../types.ts';

/**
 * Calls a function of the application that may hang. Rejects with a `TimeoutError` after `timeoutMs`, and with the signal's
 * reason when `signal` is aborted; what the function gives later is not used.
 *
 * @param call gets a signal that is aborted when nobody waits any more.
 */
export async function withDeadline<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal,
  surroundings: Surroundings,
  call: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  const inner = new AbortController();
  const give = deferred<never>();
  const abort = (): void => give.reject(signal.reason);
  const cancel = surroundings.after(timeoutMs, () => give.reject(new TimeoutError(what)));
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    return await Promise.race([call(inner.signal), give.promise]);
  } finally {
    cancel();
    signal.removeEventListener('abort', abort);
    inner.abort();
  }
}

/** Gets a token. Rejects with a `TokenError`, or with the `AuthError` that the function threw. */
export async function obtainToken(
  source: TokenSource,
  context: Omit<TokenContext, 'signal'>,
  timeoutMs: number,
  signal: AbortSignal,
  surroundings: Surroundings,
): Promise<string> {
  if (typeof source === 'string') return source;
  let token: unknown;
  try {
    token = await withDeadline('The token', timeoutMs, signal, surroundings, (inner) =>
      source({ ...context, signal: inner }),
    );
  } catch (error) {
    if (error instanceof AuthError) throw error;
    throw new TokenError('No token could be had.', error);
  }
  if (typeof token !== 'string' || token === '') throw new TokenError('The token is empty.');
  return token;
}
