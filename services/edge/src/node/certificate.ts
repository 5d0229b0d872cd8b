import { credentialsFault, type TlsCredentials, WatchedFiles } from '@tradewind/runtime';
import type { EdgeConfig } from '../config/edge-config.ts';

/** What happens to the files of the certificate. */
export interface CertificateEvents {
  /** The certificate is in force from now on. Called at the start too. */
  certificateRead(path: string, credentials: TlsCredentials): void;
  /** The files have changed and hold no certificate and key that belong together. The previous ones stay in force. */
  certificateUnusable(path: string, cause: string): void;
}

/** The certificate of the public port, which is read again when its files change. Its owner must stop it. */
export interface NodeCertificate {
  readonly credentials: TlsCredentials;
  /** Ends the watch of the files. */
  stop(): void;
}

/**
 * Opens the certificate that `EDGE_TLS_CERT_FILE` names. The caller owns the result. Undefined where no certificate is set.
 *
 * @param changed called with each certificate after the first one.
 * @throws Error with a message that names the setting to change.
 */
export async function openCertificate(
  { tlsCertFile, tlsKeyFile }: Pick<EdgeConfig, 'tlsCertFile' | 'tlsKeyFile'>,
  events: CertificateEvents,
  changed: (credentials: TlsCredentials) => void,
): Promise<NodeCertificate | undefined> {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  try {
    const files = await WatchedFiles.open({
      paths: [tlsCertFile, tlsKeyFile],
      parse: readCredentials,
      changed(credentials) {
        events.certificateRead(tlsCertFile, credentials);
        changed(credentials);
      },
      unusable: (cause) => events.certificateUnusable(tlsCertFile, cause),
    });
    events.certificateRead(tlsCertFile, files.value);
    return {
      get credentials() {
        return files.value;
      },
      stop: () => files.stop(),
    };
  } catch (error) {
    throw new Error(`EDGE_TLS_CERT_FILE: ${tlsCertFile}: ${(error as Error).message}`);
  }
}

function readCredentials([cert, key]: readonly Buffer[]): TlsCredentials {
  const credentials = { cert: String(cert), key: String(key) };
  const fault = credentialsFault(credentials);
  if (fault !== undefined) throw new Error(fault);
  return credentials;
}
