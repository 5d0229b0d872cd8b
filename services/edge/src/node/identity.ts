import type { IdentityUpdate } from '../auth/identity-update.ts';
import { KeyFile, type KeyFileEvents, type KeyLocation } from '../auth/key-file.ts';
import { type KeySet, readJwkSet } from '../auth/key-set.ts';
import { type RevocableToken, RevocationTable } from '../auth/revocation-table.ts';
import type { Rights } from '../auth/rights.ts';
import { TokenVerifier } from '../auth/token-verifier.ts';
import type { EdgeConfig } from '../config/edge-config.ts';

/** Verifies the tokens of one worker's clients, with keys and revocations that change while it runs. */
export interface NodeIdentity {
  readonly verifier: TokenVerifier;
  /** Whether the token of a client that is connected was revoked. */
  isRevoked(token: RevocableToken): boolean;
  /** Takes new keys or revocations from the main thread. */
  update(update: IdentityUpdate): void;
  /** Ends the watch of the file, if there is one. */
  stop(): void;
}

/** The settings that say who may connect. */
export type IdentitySettings = Pick<
  EdgeConfig,
  'auth' | 'jwtSecretFile' | 'jwtKeysFile' | 'jwksUrl' | 'jwtIssuer' | 'jwtAudience'
>;

/** Hears what a worker reports about the tokens of its clients. */
export interface IdentityListener extends KeyFileEvents {
  /** A token named an unknown key. If keys come from a URL, newer ones must be fetched. */
  unknownKey(): void;
}

/** The keys of one worker. */
interface WorkerKeys {
  /** Undefined while there are none. */
  readonly current: KeySet | undefined;
  /** Takes a set that the main thread fetched. */
  replace(jwkSet: Uint8Array | undefined): void;
  /** Calls the listener after each change. */
  onChanged(listener: () => void): void;
  stop(): void;
}

/** The least time between two requests for newer keys, in ms: a flood of tokens with unknown keys must not flood the main thread. */
const ASK_INTERVAL_MS = 1_000;

/**
 * Opens what `EDGE_AUTH=jwt` needs in one worker. The caller owns the result. Undefined with `EDGE_AUTH=none`. With
 * `EDGE_JWKS_URL` there are no keys before the first {@link NodeIdentity.update}.
 *
 * @param offered what the node offers; no token goes beyond it.
 * @throws Error with a message that names the setting to change.
 */
export async function openIdentity(
  settings: IdentitySettings,
  offered: Rights,
  listener: IdentityListener,
): Promise<NodeIdentity | undefined> {
  if (settings.auth === 'none') return undefined;
  const { jwtIssuer: issuer, jwtAudience: audience, jwksUrl } = settings;
  const keys = jwksUrl === undefined ? await openKeyFile(settings, listener) : receivedKeys();
  const revocations = new RevocationTable();
  const isRevoked: NodeIdentity['isRevoked'] = (token) => revocations.covers(token, Date.now());
  const verifier = new TokenVerifier(
    () => keys.current,
    { issuer, audience, offered },
    { onUnknownKey: atMostOnceIn(ASK_INTERVAL_MS, () => listener.unknownKey()), isRevoked },
  );
  keys.onChanged(() => verifier.forgetTokens());
  return {
    verifier,
    isRevoked,
    update(update) {
      if (update.kind === 'keys') keys.replace(update.jwkSet);
      else for (const each of update.revocations) revocations.add(each, Date.now());
    },
    stop: () => keys.stop(),
  };
}

async function openKeyFile(settings: IdentitySettings, events: KeyFileEvents): Promise<WorkerKeys> {
  const { variable, ...location } = locationOf(settings);
  let file: KeyFile;
  try {
    file = await KeyFile.open(location, events);
  } catch (error) {
    throw new Error(`${variable}: ${location.path}: ${(error as Error).message}`);
  }
  return {
    get current() {
      return file.keys;
    },
    replace() {},
    onChanged: (listener) => file.onChanged(listener),
    stop: () => file.stop(),
  };
}

function receivedKeys(): WorkerKeys {
  let current: KeySet | undefined;
  let changed = (): void => undefined;
  return {
    get current() {
      return current;
    },
    replace(jwkSet) {
      current = jwkSet === undefined ? undefined : readJwkSet(jwkSet);
      changed();
    },
    onChanged(listener) {
      changed = listener;
    },
    stop() {},
  };
}

function atMostOnceIn(intervalMs: number, act: () => void): () => void {
  let lastAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now - lastAt < intervalMs) return;
    lastAt = now;
    act();
  };
}

function locationOf(settings: IdentitySettings): KeyLocation & { readonly variable: string } {
  const { jwtSecretFile, jwtKeysFile = '' } = settings;
  return jwtSecretFile === undefined
    ? { kind: 'jwk-set', path: jwtKeysFile, variable: 'EDGE_JWT_KEYS_FILE' }
    : { kind: 'secret', path: jwtSecretFile, variable: 'EDGE_JWT_HS256_KEY_FILE' };
}
