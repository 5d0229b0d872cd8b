/** A checksum of the lockfile in the form of Subresource Integrity: an algorithm, a hyphen, base64. */
const RESOLUTION =
  /^ {2}'?([^'\s][^']*?)'?:\n {4}resolution: \{[^}\n]*?integrity: (sha512-[^,}\s]+)/gm;

/**
 * The SHA-512 of each package's tarball in hexadecimal, by `name@version`.
 *
 * @param lockfile the text of `pnpm-lock.yaml`, which pnpm writes in one form only.
 */
export function readIntegrities(lockfile: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, name = '', integrity = ''] of lockfile.matchAll(RESOLUTION)) {
    const base64 = integrity.slice('sha512-'.length);
    found.set(name, Buffer.from(base64, 'base64').toString('hex'));
  }
  return found;
}
