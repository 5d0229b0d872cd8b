import type { Revocation } from '@tradewind/bus';

/**
 * The most entries of a table: as many as Redis keeps (`MAX_REVOCATIONS`), at about 200 bytes each. It stands here as well, so
 * that a worker thread loads nothing of Redis.
 */
export const MAX_TABLE_ENTRIES = 10_000;

/** What of a token decides whether it is revoked. */
export interface RevocableToken {
  readonly subject: string;
  /** The token's `jti`; undefined without one. */
  readonly tokenId: string | undefined;
  /** The token's `iat`, in s since the Unix epoch; 0 without one. */
  readonly issuedAt: number;
}

/** Which tokens of a subject (or of all, or with an id) are revoked, and until when. */
interface Reach {
  /** In s since the Unix epoch; Infinity for whenever they were issued. */
  readonly issuedBefore: number;
  /** In ms since the Unix epoch. */
  readonly until: number;
}

/**
 * The revocations in force. Several for the same tokens become one that reaches as far as all of them, so their order does
 * not matter and no revocation makes another one weaker.
 */
export class RevocationTable {
  readonly #max: number;
  readonly #bySubject = new Map<string, Reach>();
  readonly #byTokenId = new Map<string, Reach>();
  #ofAll: Reach | undefined;

  /** @param max entries that it holds. */
  constructor(max = MAX_TABLE_ENTRIES) {
    this.#max = max;
  }

  /** Entries, ended ones that are not forgotten yet included. */
  get size(): number {
    return this.#bySubject.size + this.#byTokenId.size + (this.#ofAll === undefined ? 0 : 1);
  }

  /**
   * @param now ms since the Unix epoch.
   * @returns false if there is no room for it.
   */
  add(revocation: Revocation, now: number): boolean {
    const { subject, tokenId, issuedBefore = Number.POSITIVE_INFINITY, until } = revocation;
    const reach = { issuedBefore, until };
    if (until <= now) return true;
    if (subject !== undefined) return this.#put(this.#bySubject, subject, reach, now);
    if (tokenId !== undefined) return this.#put(this.#byTokenId, tokenId, reach, now);
    this.#ofAll = union(this.#ofAll, reach, now);
    return true;
  }

  /**
   * Whether the token is revoked.
   *
   * @param now ms since the Unix epoch.
   */
  covers({ subject, tokenId, issuedAt }: RevocableToken, now: number): boolean {
    const reaches = (reach: Reach | undefined): boolean =>
      reach !== undefined && issuedAt < reach.issuedBefore && now < reach.until;
    return (
      reaches(this.#ofAll) ||
      reaches(this.#bySubject.get(subject)) ||
      (tokenId !== undefined && reaches(this.#byTokenId.get(tokenId)))
    );
  }

  /** All entries, as revocations that make another table equal to this one. */
  entries(): Revocation[] {
    const entries: Revocation[] = [];
    if (this.#ofAll !== undefined) entries.push(this.#ofAll);
    for (const [subject, reach] of this.#bySubject) entries.push({ subject, ...written(reach) });
    for (const [tokenId, reach] of this.#byTokenId) entries.push({ tokenId, ...written(reach) });
    return entries;
  }

  #put(map: Map<string, Reach>, name: string, reach: Reach, now: number): boolean {
    const known = map.get(name);
    if (known === undefined && this.size >= this.#max) this.#forgetEnded(now);
    if (known === undefined && this.size >= this.#max) return false;
    map.set(name, union(known, reach, now));
    return true;
  }

  #forgetEnded(now: number): void {
    for (const map of [this.#bySubject, this.#byTokenId]) {
      for (const [name, { until }] of map) if (until <= now) map.delete(name);
    }
  }
}

function union(known: Reach | undefined, reach: Reach, now: number): Reach {
  if (known === undefined || known.until <= now) return reach;
  return {
    issuedBefore: Math.max(known.issuedBefore, reach.issuedBefore),
    until: Math.max(known.until, reach.until),
  };
}

function written({ issuedBefore, until }: Reach): Pick<Revocation, 'issuedBefore' | 'until'> {
  return Number.isFinite(issuedBefore) ? { issuedBefore, until } : { until };
}
