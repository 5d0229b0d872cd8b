import { compileChannelPatterns } from '@tradewind/protocol';
import { TokenBucket } from '@tradewind/runtime';
import type { Right, TokenEntry } from './token-entries.ts';

/** The limit that a caller met. */
export type CallerLimit = 'token_publications' | 'token_bytes';

/** What one request may be, by the settings of the service: a burst must have room for it. */
export interface LargestRequest {
  /** Publications. */
  readonly items: number;
  /** Bytes. */
  readonly bytes: number;
}

/** Who makes a request, and what it may do. */
export interface Caller {
  /** Names the caller in logs and in counts by caller. It holds no part of a token. */
  readonly name: string;
  readonly rights: ReadonlySet<Right>;
  /** Whether the caller may publish to the channel. Reserved names are refused elsewhere, to everybody. */
  mayPublish(channel: string): boolean;
  readonly budget: CallerBudget;
}

/** The rates of one caller. */
export class CallerBudget {
  readonly #publications: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;

  /** @param now ms of the clock that all calls share. */
  constructor(rates: TokenEntry['rates'], largest: LargestRequest, now: number) {
    const { publicationsPerSecond, bytesPerSecond } = rates;
    if (publicationsPerSecond !== undefined)
      this.#publications = bucketOf(publicationsPerSecond, largest.items, now);
    if (bytesPerSecond !== undefined) this.#bytes = bucketOf(bytesPerSecond, largest.bytes, now);
  }

  /** Takes what a request needs, or nothing. Then it returns the limit, and the ms after which there is enough. */
  take(
    now: number,
    publications: number,
    bytes: number,
  ): { readonly limit: CallerLimit; readonly waitMs: number } | undefined {
    if (this.#publications?.take(now, publications) === false)
      return { limit: 'token_publications', waitMs: this.#publications.waitMs(publications) };
    if (this.#bytes?.take(now, bytes) === false) {
      this.#publications?.charge(now, -publications);
      return { limit: 'token_bytes', waitMs: this.#bytes.waitMs(bytes) };
    }
    return undefined;
  }

  /** Gives back what was taken for a request that another limit refused. */
  giveBack(now: number, publications: number, bytes: number): void {
    this.#publications?.charge(now, -publications);
    this.#bytes?.charge(now, -bytes);
  }
}

/** Makes the caller of an entry. The caller and its like share the budget. */
export function callerOf({ name, channels, rights }: TokenEntry, budget: CallerBudget): Caller {
  return { name, rights: new Set(rights), mayPublish: compileChannelPatterns(channels), budget };
}

/** A second's worth, or one request's, whichever is more: a smaller burst would refuse the largest request for ever. */
function bucketOf(perSecond: number, largest: number, now: number): TokenBucket {
  return new TokenBucket({ perSecond, burst: Math.max(perSecond, largest) }, now);
}
