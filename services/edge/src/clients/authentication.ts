import type { RequestId } from '@tradewind/protocol';
import type { Identity, Refusal, RefusalCause } from '../auth/token-verifier.ts';
import type { Connection } from './connection/connection.ts';

/** Why an `auth` request is answered with an error. */
export interface AuthenticationFault {
  readonly code: Refusal['code'];
  readonly cause: RefusalCause | 'subject' | 'pending' | 'connections';
}

/** What {@link Authentication} needs. */
export interface AuthenticationParts {
  /** Never rejects. */
  readonly verify: (token: string) => Promise<Identity | Refusal>;
  /** Whether a client without an identity may have this one. False if the subject has the most connections that it may have. */
  readonly admits: (connection: Connection, identity: Identity) => boolean;
  /** Takes from a client the channels that its new rights do not allow. */
  readonly applyRights: (connection: Connection) => void;
  /** A token was accepted. `isFirst` says that the client had no identity before. */
  readonly onIdentified: (connection: Connection, isFirst: boolean) => void;
}

/** Gives sessions their identities, on a node that asks for tokens. */
export class Authentication {
  readonly #parts: AuthenticationParts;

  constructor(parts: AuthenticationParts) {
    this.#parts = parts;
  }

  /**
   * Verifies a token and tells the client `authenticated`. A client that has an identity keeps its subject. Narrower
   * rights are in force when this resolves.
   *
   * @returns why the token was refused; the caller tells the client. Undefined when it was accepted, or when the
   *   connection has ended meanwhile.
   */
  async identify(
    connection: Connection,
    token: string,
    id: RequestId | undefined,
  ): Promise<AuthenticationFault | undefined> {
    const { session } = connection;
    const { identity } = session;
    if (identity === undefined) return undefined;
    if (identity.isVerifying) return { code: 'rate_limited', cause: 'pending' };
    identity.isVerifying = true;
    const result = await this.#parts.verify(token);
    identity.isVerifying = false;
    if (!connection.isOpen) return undefined;
    if ('code' in result) return result;
    const { current } = identity;
    if (current !== undefined && current.subject !== result.subject) {
      return { code: 'unauthorized', cause: 'subject' };
    }
    if (current === undefined && !this.#parts.admits(connection, result)) {
      return { code: 'rate_limited', cause: 'connections' };
    }
    const now = Date.now();
    identity.accept(result, now);
    session.applyRights(result.rights, performance.now());
    this.#parts.applyRights(connection);
    const expiresInMs = identity.leftMs(now);
    connection.send({ type: 'authenticated', id, subject: result.subject, expiresInMs });
    this.#parts.onIdentified(connection, current === undefined);
    return undefined;
  }
}

const MESSAGES: Readonly<Record<AuthenticationFault['cause'], string>> = {
  too_large: 'The token is too large.',
  malformed: 'The token is not a JWT that this node understands.',
  algorithm: 'The token is signed with an algorithm that is not accepted here.',
  key: 'The token is signed with a key that is not known here.',
  signature: 'The signature of the token does not verify.',
  type: 'The `typ` of the token must be JWT or at+jwt.',
  claims: 'A claim of the token is missing or wrong: exp, nbf, sub, iss or aud.',
  rights: 'The `tw` claim of the token is malformed.',
  expired: 'The token has expired.',
  revoked: 'The token was revoked. One without `iat` counts as older than any revocation.',
  no_keys: 'The keys that tokens are verified with cannot be fetched right now.',
  busy: 'Too many tokens are being verified.',
  subject: 'A connection keeps its subject. Open another connection for another subject.',
  connections: 'The subject has the most connections that it may have. Close one of them first.',
  pending: 'A token of this connection is being verified. Wait for the answer.',
};

/** Returns the message for the client, which whoever issues the tokens can act on. It quotes nothing of the token. */
export function explain({ cause }: AuthenticationFault): string {
  return MESSAGES[cause];
}
