import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A certificate authority of one test, and its files, until it is disposed of. */
export interface TestAuthority extends AsyncDisposable {
  /** Its certificate, PEM. */
  readonly pem: string;
  readonly certificateFile: string;
  /** Issues a certificate with this common name, and with alternative names only if they are given. */
  issue(commonName: string, alternativeNames?: string): Promise<CertificateFiles>;
}

export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Makes an authority. Needs `openssl`. */
export async function createTestAuthority(): Promise<TestAuthority> {
  const folder = await mkdtemp(join(tmpdir(), 'test-authority-'));
  const certificateFile = join(folder, 'authority.pem');
  const authorityKey = join(folder, 'authority.key');
  const newKey = ['-newkey', 'rsa:2048', '-nodes', '-keyout'];
  await run('openssl', [
    ...['req', '-x509', '-days', '2', '-subj', '/CN=a test authority'],
    ...[...newKey, authorityKey, '-out', certificateFile],
  ]);
  let issued = 0;
  return {
    pem: await readFile(certificateFile, 'utf8'),
    certificateFile,
    async issue(commonName, alternativeNames) {
      issued += 1;
      const keyFile = join(folder, `${issued}.key`);
      const request = join(folder, `${issued}.csr`);
      const issuedFile = join(folder, `${issued}.pem`);
      const names =
        alternativeNames === undefined ? [] : ['-addext', `subjectAltName=${alternativeNames}`];
      await run('openssl', [
        ...['req', '-subj', `/CN=${commonName}`, ...newKey, keyFile, '-out', request, ...names],
      ]);
      await run('openssl', [
        ...['x509', '-req', '-days', '2', '-in', request, '-out', issuedFile],
        ...['-CA', certificateFile, '-CAkey', authorityKey, '-CAcreateserial'],
        ...['-copy_extensions', 'copy'],
      ]);
      return { certificateFile: issuedFile, keyFile };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
