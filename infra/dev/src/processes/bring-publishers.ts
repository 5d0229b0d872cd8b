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

/** A Python module that an example needs, and Debian's package of it. */
export interface PythonModule {
  readonly name: string;
  readonly debianPackage: string;
}

/** For the examples of publishing. */
export const REDIS_PY: PythonModule = { name: 'redis', debianPackage: 'python3-redis' };

/** For the examples of clients and tokens. */
export const WEBSOCKETS_PY: PythonModule = {
  name: 'websockets',
  debianPackage: 'python3-websockets',
};
export const PYJWT: PythonModule = { name: 'jwt', debianPackage: 'python3-jwt' };

/**
 * Returns a `python3` that has a module. As root on Debian it is installed by apt if there is none. If it cannot be had, the
 * function reports that and returns undefined.
 */
export async function bringPythonWith(
  { name, debianPackage }: PythonModule,
  report: Report,
): Promise<string | undefined> {
  return await bringFromDebian(() => findPythonWith(name), ['python3', debianPackage], report);
}

async function findPythonWith(module: string): Promise<string | undefined> {
  for (const python of PYTHONS) {
    const has = await promisify(execFile)(python, ['-c', `import ${module}`], {
      timeout: IMPORT_DEADLINE_MS,
    }).then(
      () => true,
      () => false,
    );
    if (has) return python;
  }
  return undefined;
}
