import { TradewindError } from './errors.ts';
import type { Surroundings } from './surroundings.ts';
import type { ClientEvents, ClientOptions, GapReason, UrlSource } from './types.ts';

/** Defaults of the times in `ClientOptions`, in ms. */
const DEFAULTS = {
  tokenTimeoutMs: 10_000,
  connectTimeoutMs: 15_000,
  requestTimeoutMs: 10_000,
  probeTimeoutMs: 3_000,
  lingerMs: 2_500,
  idleMs: 10_000,
  pauseAfterMs: 60_000,
  firstMs: 1_000,
  maxMs: 30_000,
  stableMs: 10_000,
};

/** Options with their defaults; those of `backoff` and `heartbeat` stand beside the others. */
export type Settings = ClientOptions &
  Required<Pick<ClientOptions, keyof ClientOptions & keyof typeof DEFAULTS>> &
  typeof DEFAULTS & {
    readonly url: UrlSource;
    readonly pingMs?: number;
    readonly timeoutMs?: number;
  };

/** Throws a `RangeError` if a time is not a number from 0. */
export function settingsOf(url: UrlSource, options: ClientOptions): Settings {
  const settings = { ...DEFAULTS, ...options, ...options.backoff, ...options.heartbeat, url };
  for (const [name, value] of Object.entries(settings)) {
    if (name.endsWith('Ms') && !((value as number) >= 0)) {
      throw new RangeError(`${name} must be a number of ms from 0.`);
    }
  }
  return settings;
}

type Listener = (event: never) => void;

/** What all parts of a client share: settings, events and figures. */
export class Core {
  readonly settings: Settings;
  readonly surroundings: Surroundings;
  readonly counts = { received: 0, duplicates: 0, ignored: 0, invalid: 0 };
  readonly gaps: Partial<Record<GapReason, number>> = {};
  /** Whether the client is closed. */
  isClosed = false;
  readonly #listeners: { readonly [K in keyof ClientEvents]: Set<Listener> } = {
    state: new Set(),
    channel: new Set(),
    gap: new Set(),
    resync: new Set(),
    error: new Set(),
  };

  constructor(settings: Settings, surroundings: Surroundings) {
    this.settings = settings;
    this.surroundings = surroundings;
  }

  listeners(type: keyof ClientEvents): Set<Listener> {
    return this.#listeners[type];
  }

  emit<K extends keyof ClientEvents>(type: K, event: ClientEvents[K]): void {
    for (const listener of [...this.#listeners[type]]) {
      const call = (): void => (listener as (event: ClientEvents[K]) => void)(event);
      // One that fails while it is told of a failure is told of no other.
      if (type === 'error') this.#quietly(call);
      else this.guard(call);
    }
  }

  /** Calls a function of the application, and reports what it throws. */
  guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.report(new TradewindError('listener_failed', 'A listener threw.', false, error));
    }
  }

  report(error: unknown): void {
    const known =
      error instanceof TradewindError
        ? error
        : new TradewindError('internal', String(error), false, error);
    this.log('error', { code: known.code, error: known });
    this.emit('error', known);
  }

  log(event: string, fields: object): void {
    this.#quietly(() => this.settings.log?.({ event, ...fields }));
  }

  #quietly(call: () => void): void {
    try {
      call();
    } catch {
      // There is nobody left who could be told.
    }
  }
}
