import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type TarballFile, writeTarball } from './tarball.ts';

const FILES: readonly TarballFile[] = [
  { path: 'bin/node', contents: 'a program', isExecutable: true },
  { path: 'VERSION', contents: '1.2.3\n', isExecutable: false },
  { path: 'app/main.js', contents: new Uint8Array([1, 2, 3]), isExecutable: false },
];

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(`${tmpdir()}/tradewind-tarball-`);
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

it('holds the files in order, owned by root, with one time', async () => {
  await write('one', FILES);
  const listing = execFileSync('tar', ['-tvzf', `${folder}/one`, '--utc', '--full-time']);
  expect(listing.toString().trim().split('\n').map(withoutSpaces)).toEqual([
    'drwxr-xr-x root/root 0 2026-11-23 06:54:58 app/',
    'drwxr-xr-x root/root 0 2026-11-23 06:54:58 bin/',
    '-rw-r--r-- root/root 6 2026-11-23 06:54:58 VERSION',
    '-rw-r--r-- root/root 3 2026-11-23 06:54:58 app/main.js',
    '-rwxr-xr-x root/root 9 2026-11-23 06:54:58 bin/node',
  ]);
});

it('is the same, byte for byte, in whatever order the files are given', async () => {
  const first = await write('one', FILES);
  const second = await write('two', [...FILES].reverse());
  expect(second).toEqual(first);
});

it('tells its own checksum and size', async () => {
  const { sha256, bytes } = await write('one', FILES);
  const contents = await readFile(`${folder}/one`);
  expect(sha256).toBe(createHash('sha256').update(contents).digest('hex'));
  expect(bytes).toBe(contents.length);
});

function write(name: string, files: readonly TarballFile[]) {
  const target = `${folder}/${name}`;
  return writeTarball({ target, files, modifiedAt: 1_795_416_898 });
}

function withoutSpaces(line: string): string {
  return line.replace(/ +/g, ' ');
}
