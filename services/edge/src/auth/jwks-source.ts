import { readJwkSet } from './key-set.ts';

/** What a {@link JwksSource} reports. No report holds a part of a key. */
export interface JwksEvents {
  /** The keys were fetched. `isNew` says whether they differ from the previous ones. */
  keysFetched(isNew: boolean): void;
  /** The keys could not be fetched. The previous ones stay in force for {@link STALE_MS}. */
  keysFetchFailed(cause: string): void;
  /** No keys could be fetched for {@link STALE_MS}: no token is accepted any more. */
  keysEnded(): void;
}

/** The part of `fetch` that is used. */
export type FetchKeys = (url: string, options: RequestInit) => Promise<Response>;

/** The least time between the starts of two fetches, in ms, whatever their outcome and whatever tokens name. */
export const FETCH_INTERVAL_MS = 30_000;

/** The time between two fetches that no token caused, in ms. A key that the issuer withdrew stays in force for that long at most. */
export const REFRESH_MS = 300_000;

/** How long the last keys stay in force while none can be fetched, in ms: the longest outage of a login that clients must not notice. */
export const STALE_MS = 3_600_000;

/** How long one fetch may take, in ms. It is less than {@link FETCH_INTERVAL_MS}, so that at most one is in flight. */
export const FETCH_TIMEOUT_MS = 10_000;

/** The largest JWK set that is fetched, in bytes, after decompression: 64 RSA keys of 4,096 bits fit. */
export const MAX_JWKS_BYTES = 65_536;

/**
 * The JWK set behind a URL, fetched in the background. A node has one, which its workers share. It follows no redirect,
 * because an attacker who can redirect it could choose the keys.
 */
export class JwksSource {
  readonly #url: string;
  readonly #events: JwksEvents;
  readonly #fetch: FetchKeys;
  readonly #intervalMs: number;
  readonly #onChanged: (jwkSet: Uint8Array | undefined) => void;
  #jwkSet: Uint8Array | undefined;
  #wasFetched = false;
  #fetchedAt = performance.now();
  #startedAt = Number.NEGATIVE_INFINITY;
  #inFlight: AbortController | undefined;
  #nextAt = Number.POSITIVE_INFINITY;
  #next: NodeJS.Timeout | undefined;
  #end: NodeJS.Timeout | undefined;
  #isStopped = false;

  /**
   * @param url `https:`; the owner has checked it.
   * @param onChanged gets each new set, and undefined once the last one has ended.
   * @param intervalMs {@link FETCH_INTERVAL_MS}, except for the control of a test.
   */
  constructor(
    url: string,
    events: JwksEvents,
    onChanged: (jwkSet: Uint8Array | undefined) => void,
    fetchKeys: FetchKeys = fetch,
    intervalMs = FETCH_INTERVAL_MS,
  ) {
    this.#intervalMs = intervalMs;
    this.#url = url;
    this.#events = events;
    this.#onChanged = onChanged;
    this.#fetch = fetchKeys;
  }

  /** The set that is in force, as it came. Undefined before the first one, and while the last one is too old. */
  get jwkSet(): Uint8Array | undefined {
    return this.#jwkSet;
  }

  /** Whether keys were ever fetched. */
  get wasFetched(): boolean {
    return this.#wasFetched;
  }

  /** The time since keys were last fetched, in ms. Before the first fetch, the time since the source was made. */
  get ageMs(): number {
    return performance.now() - this.#fetchedAt;
  }

  /** Fetches now, and at intervals until {@link stop}. */
  start(): void {
    void this.#fetchNow();
  }

  /** Fetches as soon as it may, because a token named a key that is not in the set. */
  request(): void {
    this.#schedule(this.#startedAt + this.#intervalMs);
  }

  /** Ends its timers and the fetch in flight. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#next);
    clearTimeout(this.#end);
    this.#inFlight?.abort();
  }

  /** Makes the next fetch start at this time, unless one starts earlier or is in flight. */
  #schedule(at: number): void {
    if (this.#isStopped || this.#inFlight !== undefined || at >= this.#nextAt) return;
    this.#nextAt = at;
    clearTimeout(this.#next);
    this.#next = setTimeout(() => void this.#fetchNow(), Math.max(0, at - performance.now()));
  }

  async #fetchNow(): Promise<void> {
    const abort = new AbortController();
    this.#inFlight = abort;
    this.#startedAt = performance.now();
    const timer = setTimeout(
      () => abort.abort(new Error(`no answer within ${FETCH_TIMEOUT_MS} ms`)),
      FETCH_TIMEOUT_MS,
    );
    let cause: string | undefined;
    try {
      const jwkSet = await fetchJwkSet(this.#fetch, this.#url, abort.signal);
      readJwkSet(jwkSet);
      if (!this.#isStopped) this.#take(jwkSet);
    } catch (error) {
      cause = describe(abort.signal.aborted ? abort.signal.reason : error);
    }
    clearTimeout(timer);
    this.#inFlight = undefined;
    this.#nextAt = Number.POSITIVE_INFINITY;
    if (this.#isStopped) return;
    if (cause !== undefined) this.#events.keysFetchFailed(cause);
    this.#schedule(this.#startedAt + (cause === undefined ? REFRESH_MS : this.#intervalMs));
  }

  #take(jwkSet: Uint8Array): void {
    const isNew = this.#jwkSet === undefined || Buffer.compare(jwkSet, this.#jwkSet) !== 0;
    this.#wasFetched = true;
    this.#fetchedAt = performance.now();
    clearTimeout(this.#end);
    this.#end = setTimeout(() => this.#endKeys(), STALE_MS);
    this.#events.keysFetched(isNew);
    if (!isNew) return;
    this.#jwkSet = jwkSet;
    this.#onChanged(jwkSet);
  }

  #endKeys(): void {
    this.#jwkSet = undefined;
    this.#events.keysEnded();
    this.#onChanged(undefined);
  }
}

async function fetchJwkSet(
  fetchKeys: FetchKeys,
  url: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const headers = { accept: 'application/jwk-set+json, application/json' };
  const { status, body } = await fetchKeys(url, { redirect: 'manual', signal, headers });
  if (status !== 200) {
    await body?.cancel();
    const isRedirect = status >= 300 && status <= 399;
    throw new Error(`the status is ${status}${isRedirect ? ', and no redirect is followed' : ''}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop early cancels the body.
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_JWKS_BYTES) throw new Error(`the set has more than ${MAX_JWKS_BYTES} bytes`);
    chunks.push(chunk);
  }
  // A copy: the set is posted to workers, and a view into a pool would take the whole pool along.
  return new Uint8Array(Buffer.concat(chunks));
}

/** `fetch` says why it failed in the cause of its error. */
function describe(error: unknown): string {
  const { message, cause } = error as Error;
  if (!(cause instanceof Error)) return message;
  return cause.message === '' ? String((cause as NodeJS.ErrnoException).code) : cause.message;
}
