/** Where a VM of Google's asks who it is, unless `GCE_METADATA_HOST` says otherwise. */
export const METADATA_HOST = 'metadata.google.internal';

const PATH = '/computeMetadata/v1/instance/service-accounts/default/token';

/**
 * A token with less time left than this is renewed, in ms, or in the second half of its life if that is shorter. The metadata server gives out
 * the same token until five minutes before its end.
 */
const RENEW_BEFORE_END_MS = 300_000;

/** The shortest wait before it is asked again for a token that it still gives out, in ms. */
const ASK_AGAIN_MS = 10_000;

/** How long the metadata server may take, in ms. It is on the same machine and needs a few. */
const ANSWER_MS = 5_000;

/** The first wait after a failure, in ms, and the longest; each is twice the one before. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/** A token is some hundred bytes; more is no answer of the metadata server. */
const MAX_ANSWER_BYTES = 16_384;

/** Events of a token. No handler may throw. */
export interface GoogleTokenEvents {
  /** It could not be renewed, and the one before is good for so long, in ms; 0: there is none. */
  tokenNotRenewed(cause: string, leftMs: number): void;
}

/** What it takes of the world; tests replace it. */
export interface GoogleTokenSettings {
  /** Host and, unless 80, port of the metadata server. */
  readonly host: string;
}

interface Answer {
  readonly token: string;
  readonly lifeMs: number;
}

/**
 * The access token of the VM's account. It is renewed before it ends, until it is stopped. If a renewal fails, the service keeps
 * the token that it has, and asks again.
 */
export class GoogleToken {
  readonly #settings: GoogleTokenSettings;
  readonly #events: GoogleTokenEvents;
  readonly #listeners = new Set<(token: string) => void>();
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #token: string | undefined;
  /** By `performance.now()`. */
  #endsAt = 0;
  #failures = 0;

  constructor(settings: GoogleTokenSettings, events: GoogleTokenEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  /** The token; undefined while there is no valid one. */
  get current(): string | undefined {
    return performance.now() < this.#endsAt ? this.#token : undefined;
  }

  /** Asks for the first token without waiting for it. */
  start(): void {
    void this.#renew();
  }

  /** Ends the question that is open, and every timer. */
  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  /** Calls `listener` with each new token from now on. Returns what ends that. */
  onChange(listener: (token: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async #renew(): Promise<void> {
    let waitMs: number;
    try {
      const { token, lifeMs } = await this.#ask();
      if (this.#stopped.signal.aborted) return;
      this.#failures = 0;
      this.#endsAt = performance.now() + lifeMs;
      const isNew = token !== this.#token;
      this.#token = token;
      if (isNew) for (const listener of this.#listeners) listener(token);
      const untilRenewalMs = lifeMs - Math.min(RENEW_BEFORE_END_MS, lifeMs / 2);
      waitMs = isNew ? untilRenewalMs : Math.min(Math.max(untilRenewalMs, ASK_AGAIN_MS), lifeMs);
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      const cause = error instanceof Error ? error.message : String(error);
      this.#events.tokenNotRenewed(
        cause,
        Math.max(0, Math.round(this.#endsAt - performance.now())),
      );
      waitMs = Math.min(RETRY_MIN_MS * 2 ** this.#failures, RETRY_MAX_MS);
      this.#failures += 1;
    }
    this.#timer = setTimeout(() => void this.#renew(), waitMs);
  }

  async #ask(): Promise<Answer> {
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(ANSWER_MS)]);
    const response = await fetch(`http://${this.#settings.host}${PATH}`, {
      headers: { 'metadata-flavor': 'Google' },
      redirect: 'error',
      signal,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the metadata server answers ${response.status}`);
    if (text.length > MAX_ANSWER_BYTES) throw new Error('the metadata server answers too much');
    return readAnswer(text);
  }
}

/** The text itself is in no message: it may hold a token. */
function readAnswer(text: string): Answer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('the metadata server answers no JSON');
  }
  const { access_token: token, expires_in: seconds } = Object(value) as Record<string, unknown>;
  if (typeof token !== 'string' || token === '' || typeof seconds !== 'number' || !(seconds > 0))
    throw new Error('the metadata server answers no token');
  return { token, lifeMs: seconds * 1_000 };
}
