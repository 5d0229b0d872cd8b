import type { Revocation } from '@tradewind/bus';

/** What the main thread tells the verifiers of its workers. */
export type IdentityUpdate =
  /** The JWK set that is in force from now on, as it came from `EDGE_JWKS_URL`; undefined while there is none. */
  | { readonly kind: 'keys'; readonly jwkSet: Uint8Array | undefined }
  /** Revocations that are new, or all that are known. */
  | { readonly kind: 'revocations'; readonly revocations: readonly Revocation[] };
