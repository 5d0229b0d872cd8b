import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { type OwnedProcess, startProcess } from '@tradewind/dev';
import type { UnitFile } from '@tradewind/release';

const run = promisify(execFile);

/** The libraries of packages that every Debian has: libc6, libgcc-s1, libstdc++6. */
const BASE_LIBRARY =
  /^(ld-linux-x86-64\.so\.2|lib(c|m|dl|pthread|rt)\.so\.\d|libgcc_s\.so\.1|libstdc\+\+\.so\.6)$/;

/** `nobody`: a service must not need more rights. */
const USER = '65534:65534';

/** An empty root folder of a system, for `chroot`. */
export interface BaseRoot extends AsyncDisposable {
  readonly folder: string;
  /** Unpacks a tarball below it. */
  unpack(tarball: string, folder: string): Promise<void>;
  /** Copies the libraries of `program`, a path below it. Rejects if a base system does not have one of them. */
  addLibrariesOf(program: string): Promise<void>;
  /** Starts a unit's command line in it, with the unit's variables and `env`, as nobody. */
  start(unit: UnitFile, env: Readonly<Record<string, string>>): Promise<OwnedProcess>;
}

/** Makes a root with nothing but `/proc` in it, not even a shell. */
export async function createBaseRoot(): Promise<BaseRoot> {
  const folder = await mkdtemp(`${tmpdir()}/tradewind-root-`);
  await run('chmod', ['755', folder]);
  await mkdir(`${folder}/tmp`);
  await mkdir(`${folder}/etc`);
  await mkdir(`${folder}/proc`);
  await run('mount', ['-t', 'proc', 'proc', `${folder}/proc`]);
  await writeFile(`${folder}/etc/hosts`, '127.0.0.1 localhost\n');
  return {
    folder,
    async unpack(tarball, target) {
      await mkdir(folder + target, { recursive: true });
      await run('tar', ['-xzf', tarball, '--no-same-owner', '-C', folder + target]);
    },
    async addLibrariesOf(program) {
      const { stdout } = await run('ldd', [folder + program]);
      for (const [library] of stdout.matchAll(/\/\S+/g)) {
        const name = library.slice(library.lastIndexOf('/') + 1);
        if (!BASE_LIBRARY.test(name)) throw new Error(`${program} needs ${library}`);
        await mkdir(dirname(folder + library), { recursive: true });
        await cp(await realpath(library), folder + library);
      }
    },
    async start(unit, env) {
      const [command = '', ...args] = unit.value('Service', 'ExecStart').split(' ');
      return await startProcess({
        name: command,
        command: '/usr/sbin/chroot',
        args: [`--userspec=${USER}`, folder, command, ...args],
        env: { ...unit.environment, ...env },
        cwd: undefined,
      });
    },
    async [Symbol.asyncDispose]() {
      await run('umount', [`${folder}/proc`]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves with the ports in a service's log. */
export async function untilListening(
  service: OwnedProcess,
): Promise<{ readonly port: number; readonly adminPort: number }> {
  const LISTENING_DEADLINE_MS = 20_000;
  return await service.waitForLine((line) => {
    if (!line.includes('"listening"')) return undefined;
    const { port, adminPort } = JSON.parse(line) as { port: number; adminPort: number };
    return { port, adminPort };
  }, LISTENING_DEADLINE_MS);
}
