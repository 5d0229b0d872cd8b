import type { Revocation } from '@tradewind/bus';

/**
 * The most entries of a table: as many as Redis keeps (`MAX_REVOCATIONS`), at about 200 bytes each. The number is repeated here so
 * that a worker thread does not load the Redis client.
 */
export const MAX_TABLE_ENTRIES = 10_000;

/** The claims that decide whether a token is revoked. */
export interface RevocableToken {
  readonly subject: string;
  /** The token's `jti`; undefined without one. */
  readonly tokenId: string | undefined;
  /** The token's `iat`, in s since the Unix epoch; 0 without one, or if it lies in the future. */
  readonly issuedAt: number;
}

/** Which tokens of one subject, of all subjects, or with one id are revoked, and until when in ms since the Unix epoch. */
interface Reach {
  /** Until then all of them, whenever they were issued; 0 for none. It is apart from `until`, so that another revocation does not prolong a short block. */
  readonly blockedUntil: number;
  /** Until `until` those that were issued before this time, in s since the Unix epoch. */
  readonly issuedBefore: number;
  readonly until: number;
}

/**
 * The revocations in force. Several with `issuedBefore` for the same tokens become one that covers what each of them covers, and
 * so do several without it. So their order does not matter, and no revocation weakens another one.
 */
export class RevocationTable {
  readonly #max: number;
  readonly #bySubject = new Map<string, Reach>();
  readonly #byTokenId = new Map<string, Reach>();
  #ofAll: Reach | undefined;

  /** @param max the most entries that it holds. */
  constructor(max = MAX_TABLE_ENTRIES) {
    this.#max = max;
  }

  /** The number of entries, including those that have ended and were not dropped yet. */
  get size(): number {
    return this.#bySubject.size + this.#byTokenId.size + (this.#ofAll === undefined ? 0 : 1);
  }

  /**
   * Adds a revocation, unless it has ended.
   *
   * @param now ms since the Unix epoch.
   * @returns false if there is no room for it.
   */
  add(revocation: Revocation, now: number): boolean {
    const { subject, tokenId, issuedBefore, until } = revocation;
    const reach =
      issuedBefore === undefined
        ? { blockedUntil: until, issuedBefore: 0, until: 0 }
        : { blockedUntil: 0, issuedBefore, until };
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
      reach !== undefined &&
      (now < reach.blockedUntil || (issuedAt < reach.issuedBefore && now < reach.until));
    return (
      reaches(this.#ofAll) ||
      reaches(this.#bySubject.get(subject)) ||
      (tokenId !== undefined && reaches(this.#byTokenId.get(tokenId)))
    );
  }

  /** All entries, as revocations that make another table equal to this one. */
  entries(): Revocation[] {
    const entries = this.#ofAll === undefined ? [] : written({}, this.#ofAll);
    for (const [subject, reach] of this.#bySubject) entries.push(...written({ subject }, reach));
    for (const [tokenId, reach] of this.#byTokenId) entries.push(...written({ tokenId }, reach));
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
      for (const [name, { blockedUntil, until }] of map) {
        if (Math.max(blockedUntil, until) <= now) map.delete(name);
      }
    }
  }
}

function union(known: Reach | undefined, reach: Reach, now: number): Reach {
  if (known === undefined) return reach;
  return {
    blockedUntil: Math.max(known.blockedUntil, reach.blockedUntil),
    // A new revocation must not revive one that has ended.
    issuedBefore: Math.max(known.until <= now ? 0 : known.issuedBefore, reach.issuedBefore),
    until: Math.max(known.until, reach.until),
  };
}

/** @param whose names the tokens. */
function written(
  whose: Pick<Revocation, 'subject' | 'tokenId'>,
  { blockedUntil, issuedBefore, until }: Reach,
): Revocation[] {
  const blocked = blockedUntil === 0 ? [] : [{ ...whose, until: blockedUntil }];
  return until === 0 ? blocked : [...blocked, { ...whose, issuedBefore, until }];
}
