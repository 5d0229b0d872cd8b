import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type HttpErrorDetails, pageFault, TokenBucket } from '@tradewind/runtime';

/** The header that a page of ours sends with each action. A form of another page cannot set it. */
export const ACTION_HEADER = 'x-tradewind-console';

const COOKIE = 'tradewind_console';

/** How long a login lasts, in ms: a working day with its evening. */
export const SESSION_MS = 12 * 3_600_000;

/** Wrong tokens a minute, of all browsers together. Operators mistype; a guesser must not get further. */
const WRONG_LOGINS_PER_MINUTE = 5;

/**
 * Who may see the console and who may act. A loopback address is no protection by itself: each web page can reach it, by a
 * name that it rebinds or by a WebSocket (CVE-2025-24010 names both). So the `Host` header must be a name that is known, and
 * an `Origin`, where there is one, must be that host's.
 */
export class Guard {
  readonly #names: ReadonlySet<string>;
  readonly #token: string | undefined;
  /** Logins end with the process. */
  readonly #key = randomBytes(32);
  readonly #wrongLogins = new TokenBucket(
    { perSecond: WRONG_LOGINS_PER_MINUTE / 60, burst: WRONG_LOGINS_PER_MINUTE },
    performance.now(),
  );

  /**
   * @param token what an operator logs in with; undefined: no login is needed, and no one may act.
   * @param hosts further names under which browsers reach the console.
   */
  constructor(token: string | undefined, hosts: readonly string[]) {
    this.#token = token;
    this.#names = new Set(hosts);
  }

  /** Whether operators log in here. Without a login nothing acts. */
  get hasLogin(): boolean {
    return this.#token !== undefined;
  }

  /** Why a request must be refused whatever its route; undefined if its route may answer it. */
  refusal(request: IncomingMessage): HttpErrorDetails | undefined {
    return pageFault(request, this.#names);
  }

  /** Whether a request may see the tier: logged in, or no login is asked for. */
  maySee(request: IncomingMessage, now: number): boolean {
    return this.#token === undefined || this.#isLoggedIn(request, now);
  }

  /** When the login of a request ends, in ms of the wall clock; undefined if no login is needed. */
  sessionEndsAt(request: IncomingMessage): number | undefined {
    return this.#token === undefined ? undefined : (this.#loginEndsAt(request) ?? 0);
  }

  /** Whether a request may act: logged in, from our own page. */
  mayAct(request: IncomingMessage, now: number): boolean {
    const fromOurPage =
      request.headers[ACTION_HEADER] === '1' && request.headers.origin !== undefined;
    return fromOurPage && this.#token !== undefined && this.#isLoggedIn(request, now);
  }

  /**
   * Checks the token of an operator. After five wrong ones no token is looked at for a while, so that guessing gets nowhere.
   *
   * @param isSecure whether the browser reached the console by TLS.
   * @param now ms of the wall clock.
   * @returns the value of `Set-Cookie`, or why there is none.
   */
  login(
    token: string,
    isSecure: boolean,
    now: number,
  ): { readonly cookie: string } | 'wrong' | 'too_many' {
    if (this.#token === undefined) return 'wrong';
    if (!this.#wrongLogins.take(performance.now())) return 'too_many';
    if (!isSame(token, this.#token)) return 'wrong';
    this.#wrongLogins.charge(performance.now(), -1);
    const until = String(now + SESSION_MS);
    const attributes = ['HttpOnly', 'SameSite=Strict', 'Path=/', `Max-Age=${SESSION_MS / 1_000}`];
    if (isSecure) attributes.push('Secure');
    return { cookie: [`${COOKIE}=${until}.${this.#sign(until)}`, ...attributes].join('; ') };
  }

  #isLoggedIn(request: IncomingMessage, now: number): boolean {
    return (this.#loginEndsAt(request) ?? 0) > now;
  }

  /** Undefined without a cookie that this process has signed. */
  #loginEndsAt(request: IncomingMessage): number | undefined {
    const cookies = (request.headers.cookie ?? '').split(';').map((cookie) => cookie.trim());
    const value = cookies
      .find((cookie) => cookie.startsWith(`${COOKIE}=`))
      ?.slice(COOKIE.length + 1);
    const [until = '', signature = ''] = value?.split('.') ?? [];
    return isSame(signature, this.#sign(until)) ? Number(until) : undefined;
  }

  #sign(until: string): string {
    return createHmac('sha256', this.#key).update(until).digest('base64url');
  }
}

/** Compares in a time that does not depend on how much is equal. */
function isSame(one: string, other: string): boolean {
  const key = randomBytes(32);
  const digest = (text: string): Buffer => createHmac('sha256', key).update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
