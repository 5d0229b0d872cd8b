import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Digits of the commit in a version: git's own idea of enough for a large repository. */
const COMMIT_DIGITS = 12;

/** What a release is made of, as its name and its files tell. */
export interface ReleaseVersion {
  /** The workspace's version and the commit, and `dirty` when there is more than that commit. */
  readonly version: string;
  /** All of the commit's digits. */
  readonly commit: string;
  /** When it was committed, in s since the Unix epoch: the time that all files of the release bear. */
  readonly committedAt: number;
}

/**
 * Reads the version of the workspace at `root`.
 *
 * @throws Error outside of a git clone: a release that names no commit could not be made again.
 */
export async function readVersion(root: string): Promise<ReleaseVersion> {
  const [described, status, manifest] = await Promise.all([
    git(root, 'log', '-1', '--format=%H %ct'),
    git(root, 'status', '--porcelain'),
    readFile(`${root}/package.json`, 'utf8'),
  ]);
  const { version } = JSON.parse(manifest) as { readonly version: string };
  return composeVersion(version, described, status !== '');
}

/**
 * @param described a commit and its time, as `git log --format='%H %ct'` prints them.
 * @param isDirty whether files differ from the commit.
 */
export function composeVersion(
  version: string,
  described: string,
  isDirty: boolean,
): ReleaseVersion {
  const [commit = '', seconds = ''] = described.split(' ');
  const name = `${version}-${commit.slice(0, COMMIT_DIGITS)}${isDirty ? '-dirty' : ''}`;
  return { version: name, commit, committedAt: Number(seconds) };
}

async function git(root: string, ...args: readonly string[]): Promise<string> {
  try {
    return (await run('git', ['-C', root, ...args])).stdout.trim();
  } catch (error) {
    throw new Error(`a release is made from a git clone: git ${args[0]} failed`, { cause: error });
  }
}
