/**
 * The key of all revocations: a sorted set whose members are {@link writeRevocation} and whose scores are their ends, in ms
 * since the Unix epoch. One key, so that one command reads all of them and one transaction adds one. The key itself has no
 * expiry: with a policy of `volatile-…` a full Redis would evict it. Whoever adds one removes those that have ended.
 */
export const REVOCATIONS_KEY = 'tw:revocations';

/** The channel on which each new revocation is published, as it stands in the set. */
export const REVOCATION_CHANNEL = 'tw:revoked';

/** The same in a Redis Cluster, in the slot of {@link REVOCATIONS_KEY}: one transaction keeps and publishes. */
export const CLUSTER_REVOCATION_CHANNEL = `${REVOCATION_CHANNEL}:{${REVOCATIONS_KEY}}`;

/** The most revocations in force. A node holds all of them, and reads all of them after each relink: 5 MB at most. */
export const MAX_REVOCATIONS = 10_000;

/** The longest time for which a revocation is kept, in s: 30 days. A token that is valid for longer works again after it. */
export const MAX_REVOCATION_SECONDS = 2_592_000;

/** The longest subject or token id, in UTF-16 units. */
export const MAX_REVOKED_NAME = 256;

/** Bytes of a revocation as text: two of the longest names, escaped, and the numbers. Longer ones are not read. */
const MAX_TEXT_BYTES = 4_096;

/**
 * Tokens that are accepted no longer, although they have not expired: those of a subject, the one with an id, or all. With
 * `issuedBefore` only those of them that were issued before.
 */
export interface Revocation {
  /** The tokens' `sub`. Not together with {@link tokenId}. */
  readonly subject?: string;
  /** The token's `jti`. */
  readonly tokenId?: string;
  /** In s since the Unix epoch, compared with the tokens' `iat`. A token without one was issued before any time. */
  readonly issuedBefore?: number;
  /** When the revocation ends, in ms since the Unix epoch. */
  readonly until: number;
}

/** The text of a revocation, the same for the same one. */
export function writeRevocation({ subject, tokenId, issuedBefore, until }: Revocation): string {
  return JSON.stringify({ sub: subject, jti: tokenId, issuedBefore, until });
}

/** Reads what {@link writeRevocation} wrote; undefined if it is anything else. It never throws. */
export function readRevocation(text: string | Buffer): Revocation | undefined {
  if (Buffer.byteLength(text) > MAX_TEXT_BYTES) return undefined;
  const fields = parse(String(text));
  if (fields === undefined) return undefined;
  const { sub: subject, jti: tokenId, issuedBefore, until } = fields;
  if (!isName(subject) || !isName(tokenId) || !isTime(until)) return undefined;
  if (issuedBefore !== undefined && !isTime(issuedBefore)) return undefined;
  if (subject !== undefined && tokenId !== undefined) return undefined;
  if (subject === undefined && tokenId === undefined && issuedBefore === undefined)
    return undefined;
  return {
    ...(subject === undefined ? {} : { subject }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(issuedBefore === undefined ? {} : { issuedBefore }),
    until,
  };
}

/**
 * Those of the texts that say nothing beside the others: another one of the same tokens reaches as far and ends no earlier. A
 * subject that is disconnected again and again has one that counts. Takes some 20 ms for {@link MAX_REVOCATIONS}.
 */
export function coveredRevocations(texts: readonly string[]): string[] {
  const read = texts.flatMap((text) => {
    const revocation = readRevocation(text);
    return revocation === undefined ? [] : [{ text, revocation }];
  });
  const reach = ({ issuedBefore = Number.POSITIVE_INFINITY }: Revocation): number => issuedBefore;
  // Whatever may cover another one comes before it.
  read.sort(({ revocation: a }, { revocation: b }) =>
    reach(a) === reach(b) ? b.until - a.until : reach(b) - reach(a),
  );
  const latestEnds = new Map<string, number>();
  return read
    .filter(({ revocation: { subject, tokenId, until } }) => {
      const whose = JSON.stringify([subject, tokenId]);
      const isCovered = (latestEnds.get(whose) ?? -1) >= until;
      if (!isCovered) latestEnds.set(whose, until);
      return isCovered;
    })
    .map(({ text }) => text);
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function isName(value: unknown): value is string | undefined {
  if (value === undefined) return true;
  return typeof value === 'string' && value !== '' && value.length <= MAX_REVOKED_NAME;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
