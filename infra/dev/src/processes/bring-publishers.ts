import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Report } from './bring-redis.ts';
import { bringFromDebian } from './debian.ts';
import { findRedisCli } from './redis-server.ts';

/** How long Python may take to say whether it has a module, in ms. */
const IMPORT_DEADLINE_MS = 10_000;

/** The second is Debian's own, which its packages are for, where another one hides it on the PATH. */
const PYTHONS = ['python3', '/usr/bin/python3'];

/** The path of a `redis-cli`; as root on Debian, installed by apt when there is none. */
export async function bringRedisCli(report: Report): Promise<string | undefined> {
  return await bringFromDebian(findRedisCli, ['redis-tools'], report);
}

/**
 * Returns a `python3` that has redis-py. As root on Debian it is installed by apt if there is none. If it cannot be had, the
 * function reports that and returns undefined.
 */
export async function bringPythonWithRedis(report: Report): Promise<string | undefined> {
  return await bringFromDebian(findPythonWithRedis, ['python3', 'python3-redis'], report);
}

async function findPythonWithRedis(): Promise<string | undefined> {
  for (const python of PYTHONS) {
    const has = await promisify(execFile)(python, ['-c', 'import redis'], {
      timeout: IMPORT_DEADLINE_MS,
    }).then(
      () => true,
      () => false,
    );
    if (has) return python;
  }
  return undefined;
}
