import { KeyFile, type KeyFileEvents, type KeyLocation } from '../auth/key-file.ts';
import type { Rights } from '../auth/rights.ts';
import { TokenVerifier } from '../auth/token-verifier.ts';
import type { EdgeConfig } from '../config.ts';

/** Verifies tokens with keys that are read again when their file changes. */
export interface NodeIdentity {
  readonly verifier: TokenVerifier;
  /** Ends the watch of the file. */
  stop(): void;
}

/** The settings that say who may connect. */
export type IdentitySettings = Pick<
  EdgeConfig,
  'auth' | 'jwtSecretFile' | 'jwtKeysFile' | 'jwtIssuer' | 'jwtAudience'
>;

/**
 * Opens the keys that `EDGE_AUTH=jwt` needs. The caller owns the result. Undefined with `EDGE_AUTH=none`.
 *
 * @param offered what the node offers; no token goes beyond it.
 * @throws Error with a message that names the setting to change.
 */
export async function openIdentity(
  settings: IdentitySettings,
  offered: Rights,
  events: KeyFileEvents,
): Promise<NodeIdentity | undefined> {
  if (settings.auth === 'none') return undefined;
  const { variable, ...location } = locationOf(settings);
  let file: KeyFile;
  try {
    file = await KeyFile.open(location, events);
  } catch (error) {
    throw new Error(`${variable}: ${location.path}: ${(error as Error).message}`);
  }
  const { jwtIssuer: issuer, jwtAudience: audience } = settings;
  const verifier = new TokenVerifier(() => file.keys, { issuer, audience, offered });
  file.onChanged(() => verifier.forget());
  return { verifier, stop: () => file.stop() };
}

function locationOf(settings: IdentitySettings): KeyLocation & { readonly variable: string } {
  const { jwtSecretFile, jwtKeysFile = '' } = settings;
  return jwtSecretFile === undefined
    ? { kind: 'jwk-set', path: jwtKeysFile, variable: 'EDGE_JWT_KEYS_FILE' }
    : { kind: 'secret', path: jwtSecretFile, variable: 'EDGE_JWT_HS256_KEY_FILE' };
}
