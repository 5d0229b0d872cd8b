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
  /** The token's `iat`, in s since the Unix epoch; 0 without one, or if it lies in the future. */
  readonly issuedAt: number;
}

/** Which tokens of a subject (or of all, or with an id) are revoked, and until when. Ends are in ms since the Unix epoch. */
interface Reach {
  /** Whenever they were issued, up to this end; 0 for none. A short block must not last as long as another revocation does. */
  readonly blockedUntil: number;
  /** Those that were issued before, in s since the Unix epoch, up to `until`. */
  readonly issuedBefore: number;
  readonly until: number;
}

/**
 * The revocations in force. Several with `issuedBefore` for the same tokens become one that reaches as far as all of them, and
 * so do several without it. So their order does not matter, and no revocation makes another one weaker.
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
    // What has ended reaches no further by what is new.
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
