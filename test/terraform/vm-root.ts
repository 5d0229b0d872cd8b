import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Commands of a VM that a test must not run; what they were told is written down. */
const STUBS = ['systemctl', 'sysctl'];

/** The release of a Redis whose client answers as a primary's would, and keeps the library that it was told to load. */
export const REDIS_RELEASE = {
  'bin/valkey-server': '#!/bin/sh\n',
  'bin/valkey-cli': `#!/bin/sh
case "$*" in
  *' ROLE') cat "$0.role" 2>/dev/null || echo master ;;
  *' FUNCTION LOAD REPLACE') cat >"$0.loaded" ;;
esac\n`,
};

/** A folder that stands for a VM's `/`, below which start-up scripts write. */
export interface VmRoot extends AsyncDisposable {
  /** What the scripts call `root`. */
  readonly path: string;
  /** Runs a script as the VM would at boot; resolves with what it printed, rejects when it fails. */
  boot(script: string, env?: Readonly<Record<string, string>>): Promise<string>;
  /** What a file below {@link path} holds. */
  installed(file: string): Promise<string>;
  /** From now on the image has an Ops Agent; when it is restarted, {@link calls} has its settings and its token. */
  bringOpsAgent(): Promise<void>;
  /** What the stubs were told, one line each. */
  calls(): Promise<string>;
}

/** Makes an empty one. */
export async function createVmRoot(): Promise<VmRoot> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-startup-'));
  const path = join(folder, 'root');
  await mkdir(join(folder, 'bin'));
  await mkdir(path);
  for (const name of STUBS) {
    const stub = join(folder, 'bin', name);
    const text = `#!/bin/sh\necho "${name} $*" >>"${folder}/calls"
case "$*" in
  cat*ops-agent*) [ -e "${folder}/ops-agent" ]; exit ;;
  restart*ops-agent*) cat "${path}/etc/google-cloud-ops-agent/config.yaml" "${path}/etc/tradewind/admin-token" >>"${folder}/calls" ;;
esac\ncase "$*" in is-active*) exit 0 ;; esac\n`;
    await writeFile(stub, text);
    await chmod(stub, 0o755);
  }
  return {
    path,
    async boot(script, env = {}) {
      await writeFile(join(folder, 'startup.sh'), script);
      const { stdout } = await run('bash', [join(folder, 'startup.sh')], {
        env: { ...process.env, PATH: `${folder}/bin:${process.env.PATH}`, ...env },
      });
      return stdout;
    },
    installed: (file) => readFile(join(path, file), 'utf8'),
    bringOpsAgent: () => writeFile(join(folder, 'ops-agent'), ''),
    calls: () => readFile(join(folder, 'calls'), 'utf8').catch(() => ''),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A tarball of executable files, by name. */
export async function makeTarball(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-tarball-'));
  try {
    const content = join(folder, 'content');
    await mkdir(content);
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(content, name)), { recursive: true });
      await writeFile(join(content, name), text, { mode: 0o755 });
    }
    await run('tar', ['-czf', join(folder, 'x.tar.gz'), '-C', content, '.']);
    return await readFile(join(folder, 'x.tar.gz'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
