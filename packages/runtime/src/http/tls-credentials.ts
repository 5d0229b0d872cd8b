import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** What a server shows, and proves to be its own, when a connection is secured. */
export interface TlsCredentials {
  /** PEM: the certificate, and behind it those that lead to an authority. */
  readonly cert: string;
  /** PEM: its private key, which must not be encrypted. */
  readonly key: string;
}

/** Why the credentials cannot be used, as a phrase without any part of the key. Undefined when they can. */
export function credentialsFault(credentials: TlsCredentials): string | undefined {
  const needed = 'a certificate and its private key, both PEM, are needed';
  try {
    const certificate = new X509Certificate(credentials.cert);
    if (!certificate.checkPrivateKey(createPrivateKey(credentials.key))) {
      return `${needed} (the key is that of another certificate)`;
    }
    createSecureContext(credentials);
    return undefined;
  } catch (error) {
    return `${needed} (${(error as NodeJS.ErrnoException).code ?? 'unreadable'})`;
  }
}

/** When the certificate ends, in ms since the Unix epoch. The credentials must have no fault. */
export function certificateEndsAt({ cert }: TlsCredentials): number {
  return Date.parse(new X509Certificate(cert).validTo);
}
