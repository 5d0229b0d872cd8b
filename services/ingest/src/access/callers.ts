import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { readBearerToken } from '@tradewind/runtime';
import { type Caller, CallerBudget, callerOf, type LargestRequest } from './caller.ts';
import { RIGHTS, type TokenEntry } from './token-entries.ts';

/** Callers of `INGEST_TOKENS` have this name and a number, from 1. No entry of a file can have such a name. */
const SETTING = 'INGEST_TOKENS:';

interface KnownToken {
  readonly digest: Buffer;
  readonly entry: TokenEntry;
  readonly caller: Caller;
}

/** Knows by its token who makes a request. It holds hashes of tokens, and no token. */
export class Callers {
  readonly #largest: LargestRequest;
  readonly #ofSetting: readonly TokenEntry[];
  readonly #isOpen: boolean;
  #known: ReadonlyMap<string, KnownToken> = new Map();

  /**
   * @param tokens of `INGEST_TOKENS`: each gives all rights to all channels.
   * @param entries of the file of tokens; undefined if there is none. Without tokens and without a file, everybody
   *   may do everything.
   */
  constructor(
    tokens: readonly string[],
    entries: readonly TokenEntry[] | undefined,
    largest: LargestRequest,
  ) {
    this.#largest = largest;
    this.#ofSetting = tokens.map((token, index) => ({
      ...entryWithAllRights(`${SETTING}${index + 1}`),
      hash: digestOf(token).toString('hex'),
    }));
    this.#isOpen = tokens.length === 0 && entries === undefined;
    this.replace(entries ?? []);
  }

  /**
   * Puts new entries in the place of those of the file. A token whose rates stay keeps what it has spent of them. An entry
   * of the file counts, and not `INGEST_TOKENS`, for a token that is in both.
   */
  replace(entries: readonly TokenEntry[], now = performance.now()): void {
    const before = this.#known;
    this.#known = new Map(
      [...this.#ofSetting, ...entries].map((entry) => {
        const known = before.get(entry.hash);
        const budget =
          known !== undefined && hasSameRates(known.entry, entry)
            ? known.caller.budget
            : new CallerBudget(entry.rates, this.#largest, now);
        const digest = Buffer.from(entry.hash, 'hex');
        return [entry.hash, { digest, entry, caller: callerOf(entry, budget) }];
      }),
    );
  }

  /**
   * The caller of a request; undefined if it has no valid token. Without tokens, the caller is named by its address.
   *
   * A request is compared by the SHA-256 of its token. Nobody can choose which digest a token has, so the time of the
   * look-up leads to no token. The comparison itself takes the same time for every digest.
   */
  find(request: IncomingMessage): Caller | undefined {
    if (this.#isOpen) {
      const everything = entryWithAllRights(String(request.socket.remoteAddress));
      return callerOf(everything, new CallerBudget({}, this.#largest, 0));
    }
    const token = readBearerToken(request);
    if (token === undefined) return undefined;
    const digest = digestOf(token);
    const known = this.#known.get(digest.toString('hex'));
    return known !== undefined && timingSafeEqual(known.digest, digest) ? known.caller : undefined;
  }
}

function entryWithAllRights(name: string): TokenEntry {
  return { name, hash: '', channels: ['*'], rights: RIGHTS, rates: {} };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function hasSameRates({ rates: a }: TokenEntry, { rates: b }: TokenEntry): boolean {
  return (
    a.publicationsPerSecond === b.publicationsPerSecond && a.bytesPerSecond === b.bytesPerSecond
  );
}
