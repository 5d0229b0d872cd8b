import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** One file of a tarball. */
export interface TarballFile {
  /** Where it lies, from where the tarball is unpacked, with slashes. */
  readonly path: string;
  readonly contents: Uint8Array | string;
  readonly isExecutable: boolean;
}

/** What was written. */
export interface WrittenTarball {
  /** In hexadecimal, as `sha256sum` prints it. */
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Writes files into a gzipped tarball whose bytes depend on nothing but its arguments, and on the
 * zlib of the Node that runs this: names in order, one time, one owner, no traces of this machine.
 *
 * @param options.modifiedAt the time that all files bear, in s since the Unix epoch.
 */
export async function writeTarball(options: {
  readonly target: string;
  readonly files: readonly TarballFile[];
  readonly modifiedAt: number;
}): Promise<WrittenTarball> {
  const { target, modifiedAt } = options;
  const common = {
    mtime: new Date(modifiedAt * 1_000),
    ...{ uid: 0, gid: 0, uname: 'root', gname: 'root' },
  };
  const tar = pack();
  for (const name of foldersOf(options.files)) {
    tar.entry({ ...common, name: `${name}/`, type: 'directory', mode: 0o755 });
  }
  const files = [...options.files].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, contents, isExecutable } of files) {
    const mode = isExecutable ? 0o755 : 0o644;
    tar.entry({ ...common, name: path, mode }, Buffer.from(contents));
  }
  tar.finalize();

  const hash = createHash('sha256');
  let bytes = 0;
  const measure = new Transform({
    transform(piece: Buffer, _encoding, passOn) {
      hash.update(piece);
      bytes += piece.length;
      passOn(null, piece);
    },
  });
  // Node's gzip header holds neither a name nor a time.
  await pipeline(tar, createGzip({ level: 9 }), measure, createWriteStream(target));
  return { sha256: hash.digest('hex'), bytes };
}

/** Every folder that the files need, outer ones first. */
function foldersOf(files: readonly TarballFile[]): string[] {
  const folders = new Set<string>();
  for (const { path } of files) {
    const names = path.split('/').slice(0, -1);
    names.forEach((_, i) => {
      folders.add(names.slice(0, i + 1).join('/'));
    });
  }
  return [...folders].sort();
}
