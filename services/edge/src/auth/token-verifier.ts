import { createHash } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { KeySet } from './key-set.ts';
import type { RevocableToken } from './revocation-table.ts';
import { RIGHTS_CLAIM, type Rights, readRights } from './rights.ts';

/** Who a client is, what it may read, and until when. Sessions with the same token share one. */
export interface Identity extends RevocableToken {
  /** When it ends, in ms since the Unix epoch: the token's `exp` and the tolerance. */
  readonly expiresAt: number;
  readonly rights: Rights;
}

/** Why a token was refused, for logs and for those who issue tokens. */
export type RefusalCause =
  | 'too_large'
  | 'malformed'
  | 'algorithm'
  | 'key'
  | 'signature'
  | 'type'
  | 'claims'
  | 'rights'
  | 'expired'
  | 'busy'
  | 'no_keys'
  | 'revoked';

/** The refusal of a token, with the code that answers the client. */
export interface Refusal {
  readonly code: 'unauthorized' | 'token_expired' | 'rate_limited' | 'unavailable';
  readonly cause: RefusalCause;
}

/** What tokens must say. */
export interface TokenRules {
  /** What `iss` must be; undefined when it may be anything. */
  readonly issuer: string | undefined;
  /** What `aud` must be or hold; undefined when it may be anything. */
  readonly audience: string | undefined;
  /** What the node offers; no token goes beyond it. */
  readonly offered: Rights;
}

/** The largest token, in bytes. It is refused before anything of it is parsed. */
export const MAX_TOKEN_BYTES = 8_192;

/** How far the clocks of issuer and node may be apart, in seconds. */
export const CLOCK_TOLERANCE_SECONDS = 10;

/**
 * How far ahead `iat` may lie, in seconds: more than clocks differ. A later `iat` is no time of issue (milliseconds, say). If it
 * counted, no revocation of tokens that were issued up to now would cover the token.
 */
const MAX_AHEAD_SECONDS = 60;

/** Verified tokens that a worker remembers, so that a reconnect costs no signature check; about 1 KiB each with a few globs. */
const MAX_REMEMBERED_TOKENS = 10_000;

/**
 * The most bytes of these tokens together. The globs of a token of 7 KiB take 21 KiB of memory. Without this bound 10,000 such tokens
 * would take 210 MB in each worker; with it they take 50 MB at most.
 */
const MAX_REMEMBERED_BYTES = 8_388_608;

/** The most verifications of a worker that are in flight. Each holds a token of up to 8 KiB. */
export const MAX_VERIFICATIONS = 2_048;

/** The longest subject or token id, in UTF-16 units: they are kept in memory, and no revocation can name a longer one. */
const MAX_NAME_LENGTH = 256;

/** What `typ` may be, if a token has one: other kinds of JWT are meant for other uses. */
const TYPES: readonly string[] = ['jwt', 'at+jwt'];

/** Three parts of base64url. Everything else is refused unparsed. */
const COMPACT_FORM = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Optional settings of a {@link TokenVerifier}. */
export interface VerifierOptions {
  /** Returns ms since the Unix epoch. */
  readonly clock?: () => number;
  /** The most verified tokens that it remembers. */
  readonly maxRemembered?: number;
  /** The most bytes of these together. */
  readonly maxRememberedBytes?: number;
  /** Called for each token whose key is unknown, because there may be newer keys. */
  readonly onUnknownKey?: () => void;
  /** Whether a token that is otherwise valid was revoked. */
  readonly isRevoked?: (token: RevocableToken) => boolean;
}

/** Verifies the tokens of one worker's clients. */
export class TokenVerifier {
  readonly #keys: () => KeySet | undefined;
  readonly #rules: TokenRules;
  readonly #clock: () => number;
  readonly #maxRemembered: number;
  readonly #onUnknownKey: () => void;
  readonly #isRevoked: (token: RevocableToken) => boolean;
  readonly #maxRememberedBytes: number;
  readonly #remembered = new Map<string, { readonly identity: Identity; readonly bytes: number }>();
  #rememberedBytes = 0;
  #inFlight = 0;

  /** @param keys returns the keys that are in force; undefined while there are none. */
  constructor(
    keys: () => KeySet | undefined,
    rules: TokenRules,
    {
      clock = Date.now,
      maxRemembered = MAX_REMEMBERED_TOKENS,
      maxRememberedBytes = MAX_REMEMBERED_BYTES,
      onUnknownKey = () => undefined,
      isRevoked = () => false,
    }: VerifierOptions = {},
  ) {
    this.#keys = keys;
    this.#rules = rules;
    this.#clock = clock;
    this.#maxRemembered = maxRemembered;
    this.#maxRememberedBytes = maxRememberedBytes;
    this.#onUnknownKey = onUnknownKey;
    this.#isRevoked = isRevoked;
  }

  /** The number of tokens that it remembers. */
  get remembered(): number {
    return this.#remembered.size;
  }

  /** Forgets verified tokens, because the keys have changed. Connected clients stay until their tokens expire. */
  forgetTokens(): void {
    this.#remembered.clear();
    this.#rememberedBytes = 0;
  }

  /** Verifies one token. Never rejects, and no result quotes the token. */
  async verify(token: string): Promise<Identity | Refusal> {
    if (token.length > MAX_TOKEN_BYTES) return { code: 'unauthorized', cause: 'too_large' };
    if (!COMPACT_FORM.test(token)) return { code: 'unauthorized', cause: 'malformed' };
    const hash = createHash('sha256').update(token).digest('base64');
    const known = this.#remembered.get(hash)?.identity;
    if (known !== undefined && known.expiresAt > this.#clock()) return this.#unlessRevoked(known);
    this.#forgetOne(hash);
    if (this.#inFlight >= MAX_VERIFICATIONS) return { code: 'rate_limited', cause: 'busy' };
    const keys = this.#keys();
    if (keys === undefined) return { code: 'unavailable', cause: 'no_keys' };
    this.#inFlight += 1;
    try {
      const identity = await this.#verifyWith(keys, token);
      if ('code' in identity) return identity;
      // If the keys changed meanwhile, the token's key may have been withdrawn.
      if (keys === this.#keys()) this.#remember(hash, identity, token.length);
      return this.#unlessRevoked(identity);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal.cause === 'key') this.#onUnknownKey();
      return refusal;
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** Must be called in the turn that answers, so that no revocation comes between. */
  #unlessRevoked(identity: Identity): Identity | Refusal {
    return this.#isRevoked(identity) ? { code: 'unauthorized', cause: 'revoked' } : identity;
  }

  async #verifyWith(keys: KeySet, token: string): Promise<Identity | Refusal> {
    const { issuer, audience } = this.#rules;
    const { payload, protectedHeader } = await jwtVerify(token, keys.find, {
      algorithms: [...keys.algorithms],
      requiredClaims: ['exp', 'sub'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(this.#clock()),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    });
    const { typ } = protectedHeader;
    if (typ !== undefined && !TYPES.includes(typ.toLowerCase().replace(/^application\//, ''))) {
      return { code: 'unauthorized', cause: 'type' };
    }
    return this.#identityOf(payload);
  }

  #identityOf({ sub, exp, iat, jti, [RIGHTS_CLAIM]: claim }: JWTPayload): Identity | Refusal {
    if (typeof sub !== 'string' || sub === '' || sub.length > MAX_NAME_LENGTH) {
      return { code: 'unauthorized', cause: 'claims' };
    }
    if (jti !== undefined && (typeof jti !== 'string' || jti.length > MAX_NAME_LENGTH)) {
      return { code: 'unauthorized', cause: 'claims' };
    }
    const expiresAt = (Number(exp) + CLOCK_TOLERANCE_SECONDS) * 1_000;
    if (!Number.isSafeInteger(Math.floor(expiresAt))) {
      return { code: 'unauthorized', cause: 'claims' };
    }
    const rights = readRights(claim, this.#rules.offered);
    if (rights === undefined) return { code: 'unauthorized', cause: 'rights' };
    const latest = this.#clock() / 1_000 + MAX_AHEAD_SECONDS;
    const issuedAt = typeof iat === 'number' && iat <= latest ? iat : 0;
    return { subject: sub, tokenId: jti, issuedAt, expiresAt, rights };
  }

  #remember(hash: string, identity: Identity, bytes: number): void {
    // The same token may have been verified twice at the same time.
    this.#forgetOne(hash);
    this.#remembered.set(hash, { identity, bytes });
    this.#rememberedBytes += bytes;
    while (
      this.#remembered.size > this.#maxRemembered ||
      this.#rememberedBytes > this.#maxRememberedBytes
    ) {
      const [oldest = ''] = this.#remembered.keys();
      this.#forgetOne(oldest);
    }
  }

  #forgetOne(hash: string): void {
    this.#rememberedBytes -= this.#remembered.get(hash)?.bytes ?? 0;
    this.#remembered.delete(hash);
  }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof errors.JWTExpired) return { code: 'token_expired', cause: 'expired' };
  return { code: 'unauthorized', cause: causeOf(error) };
}

function causeOf(error: unknown): RefusalCause {
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm';
  if (error instanceof errors.JWTClaimValidationFailed) return 'claims';
  if (error instanceof errors.JWKSNoMatchingKey) return 'key';
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'key';
  return 'malformed';
}
