import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FUNCTION_LIBRARY } from '@tradewind/bus';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GoogleStandIn, startGoogleStandIn } from './google-stand-in.ts';
import { TERRAFORM_ROOT } from './hcl.ts';
import { encoded, REDIS_VALUES, renderStartup, VM_VALUES } from './startup.ts';
import { createVmRoot, makeTarball, REDIS_RELEASE, type VmRoot } from './vm-root.ts';

const run = promisify(execFile);

/** apt included. */
const SHELLCHECK_DEADLINE_MS = 300_000;

/** Google's answer is asked for every 0.1 s instead of every 10, for as long as a test says. */
const waiting = (seconds: number) => ({
  rights_wait_seconds: String(seconds),
  rights_pause_seconds: '0.1',
});

/** A release with an installer that leaves its unit, as a real one does. */
const RELEASE = {
  'install.sh':
    '#!/bin/sh\nmkdir -p "$1/etc/systemd/system"\necho unit >"$1/etc/systemd/system/tradewind-edge.service"\n',
};

let root: VmRoot;
let google: GoogleStandIn;
let sha256: string;

beforeEach(async () => {
  root = await createVmRoot();
  google = await startGoogleStandIn();
  const tarball = await makeTarball({ ...RELEASE, ...REDIS_RELEASE });
  sha256 = createHash('sha256').update(tarball).digest('hex');
  google.objects.set('releases/edge.tar.gz', tarball);
  google.secrets.set('projects/p/secrets/redis/versions/1', 'hush\n');
  google.secrets.set('projects/p/secrets/tokens/versions/latest', 'one,two');
  google.secrets.set('projects/p/secrets/odd/versions/latest', 'a"b');
});

afterEach(async () => {
  await google[Symbol.asyncDispose]();
  await root[Symbol.asyncDispose]();
});

async function start(
  changes: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = waiting(0),
): Promise<string> {
  const values = { ...VM_VALUES, sha256, root: root.path, ...google.hosts, ...changes };
  return await root.boot(renderStartup('vm-startup.sh.tftpl', values), env);
}

describe('the start-up script of a VM', () => {
  it('installs a verified release, writes its settings and starts it', async () => {
    await start();
    expect(await root.installed('etc/systemd/system/tradewind-edge.service')).toBe('unit\n');
    expect(await root.installed('etc/tradewind/edge.env')).toMatch(
      /^EDGE_NODE_ID=tw-edge-x1\nEDGE_MEMORY_LIMIT_BYTES=\d+\nEDGE_CHANNELS=BTC\.\*,ETH\.\*\nINGEST_TOKENS=one,two\n$/,
    );
    expect(await root.installed('etc/tradewind/redis-password')).toBe('hush\n');
    expect(await root.installed('etc/tradewind/redis-ca.pem')).toBe('a certificate');
    const { mode } = await stat(join(root.path, 'etc/tradewind/redis-password'));
    expect(mode & 0o777).toBe(0o640);
    expect(await root.calls()).toMatch(
      /systemctl start tradewind-edge\.service\nsystemctl cat google-cloud-ops-agent\.service\n$/,
    );
    expect(await root.installed('etc/tradewind/ops-agent.yaml')).toBe('settings of the agent\n');
  });

  it('starts again after a reboot without fetching the release again', async () => {
    await start();
    google.objects.clear();
    expect(await start()).toContain('edge-1.2.3 is there');
  });

  it('starts nothing when the checksum is wrong', async () => {
    await expect(start({ sha256: '0'.repeat(64) })).rejects.toThrow('does not have the checksum');
    expect(await root.calls()).not.toContain('start');
    await expect(root.installed('opt/tradewind/edge-1.2.3/install.sh')).rejects.toThrow('ENOENT');
  });

  it('starts nothing when a secret could not be read, or not be told to systemd', async () => {
    const missing = encoded('redis-password projects/p/secrets/none/versions/1\n');
    await expect(start({ secret_files_base64: missing })).rejects.toThrow('may not fetch');
    const odd = encoded('INGEST_TOKENS projects/p/secrets/odd/versions/latest\n');
    await expect(start({ secret_variables_base64: odd })).rejects.toThrow('holds a quote');
    expect(await root.calls()).not.toContain('start');
  });

  it('leaves what it wrote before as it was when a secret cannot be read at a later boot', async () => {
    await start();
    google.secrets.delete('projects/p/secrets/redis/versions/1');
    await expect(start()).rejects.toThrow('may not fetch');
    expect(await root.installed('etc/tradewind/redis-password')).toBe('hush\n');
  });

  it('starts with the password of the moment, whether it was changed before or after the last boot', async () => {
    const secret_files_base64 = encoded(
      'redis-password projects/p/secrets/redis/versions/latest\n',
    );
    const latest = 'projects/p/secrets/redis/versions/latest';
    google.secrets.set(latest, 'second');
    await start({ secret_files_base64 });
    expect(await root.installed('etc/tradewind/redis-password')).toBe('second');
    google.secrets.set(latest, 'third');
    await start({ secret_files_base64 });
    expect(await root.installed('etc/tradewind/redis-password')).toBe('third');
  });

  it('does not start when the version that it was told is gone, which the latest never is', async () => {
    google.secrets.delete('projects/p/secrets/redis/versions/1');
    google.secrets.set('projects/p/secrets/redis/versions/latest', 'second');
    await expect(start()).rejects.toThrow('may not fetch');
    const group = readFileSync(`${TERRAFORM_ROOT}modules/vm_group/main.tf`, 'utf8');
    const versions = group.match(/local\.secret_path\}\/.*?\/versions\/\w+/g) ?? [];
    expect(versions).toHaveLength(4);
    for (const version of versions) expect(version).toMatch(/\/versions\/latest$/);
  });

  it('restarts an agent that is there last, when its settings and its token are there', async () => {
    await root.bringOpsAgent();
    google.secrets.set('projects/p/secrets/admin/versions/latest', 'the token');
    await start({
      secret_files_base64: encoded(
        'redis-password projects/p/secrets/redis/versions/1\nadmin-token projects/p/secrets/admin/versions/latest\n',
      ),
    });
    expect(await root.calls()).toMatch(
      /systemctl start tradewind-edge\.service\n.*\nsystemctl restart google-cloud-ops-agent\.service\nsettings of the agent\nthe token$/,
    );
  });

  it('waits for rights that Google does not know yet, with the release and with secrets', async () => {
    google.notYet = 3;
    await start({}, waiting(60));
    expect(google.asked.filter((path) => path.endsWith('/edge.tar.gz'))).toHaveLength(4);
    google.notYet = 2;
    await start({}, waiting(60));
    expect(await root.installed('etc/tradewind/redis-password')).toBe('hush\n');
    expect(google.notYet).toBe(0);
  });

  it('does not wait for ever, and not for what is not a matter of rights', async () => {
    google.notYet = Number.POSITIVE_INFINITY;
    await expect(start({}, waiting(1))).rejects.toThrow('403 for 1 s');
    expect(await root.calls()).not.toContain('start');
    google.asked.length = 0;
    const elsewhere = { storage_host: `${google.hosts.storage_host}/absent` };
    await expect(start(elsewhere, waiting(60))).rejects.toThrow(/could not fetch .*: 404/);
    expect(google.asked.filter((path) => path.startsWith('/absent/'))).toHaveLength(1);
  });

  it('has the alerts judge an edge by 70 % of the memory, unless a setting says otherwise', async () => {
    await start();
    const limit = Number(
      /EDGE_MEMORY_LIMIT_BYTES=(\d+)/.exec(await root.installed('etc/tradewind/edge.env'))?.[1],
    );
    expect(limit / totalmem()).toBeCloseTo(0.7, 2);
    await start({ environment_base64: encoded('EDGE_MEMORY_LIMIT_BYTES=1000\n') });
    const lines = (await root.installed('etc/tradewind/edge.env')).split('\n');
    // Of two that are equal systemd takes the last one.
    expect(lines.filter((line) => line.startsWith('EDGE_MEMORY')).at(-1)).toMatch(/=1000$/);
    await start({ service: 'ingest' });
    expect(await root.installed('etc/tradewind/ingest.env')).not.toContain('EDGE_MEMORY');
  });
});

describe('the start-up script of a Redis', () => {
  it('writes users with the hashes of their passwords, and starts a verified server', async () => {
    const script = renderStartup('redis-startup.sh.tftpl', {
      ...REDIS_VALUES,
      object: 'edge.tar.gz',
      sha256,
      configuration_base64: encoded('port 6379\n'),
      users_base64: encoded(
        'admin projects/p/secrets/redis/versions/1\npricing projects/p/secrets/tokens/versions/latest BTC.* ETH\n',
      ),
      replication_secret: 'projects/p/secrets/tokens/versions/latest',
      root: root.path,
      ...google.hosts,
    });
    await root.boot(script);
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    const users = await root.installed('etc/tradewind-redis/users.acl');
    expect(users.split('\n').map((line) => line.split(' ').slice(0, 4).join(' '))).toEqual([
      'user default off',
      `user admin on #${hash('hush')}`,
      `user pricing on #${hash('one,two')}`,
      '',
    ]);
    const configuration = await root.installed('etc/tradewind-redis/redis.conf');
    expect(configuration).toMatch(/^port 6379\nmaxmemory \d+kb\n/);
    expect(configuration).toContain('masterauth "one,two"\n');
    expect(await root.calls()).toMatch(/systemctl start tradewind-redis\.service\n$/);
    expect(await root.installed('opt/tradewind/valkey-8.1.4/bin/valkey-cli.loaded')).toBe(
      FUNCTION_LIBRARY,
    );
  });

  it('loads no functions into a replica, which gets them from its primary', async () => {
    const script = renderStartup('redis-startup.sh.tftpl', {
      ...REDIS_VALUES,
      object: 'edge.tar.gz',
      sha256,
      users_base64: encoded('admin projects/p/secrets/redis/versions/1\n'),
      replication_secret: 'projects/p/secrets/tokens/versions/latest',
      root: root.path,
      ...google.hosts,
    });
    await root.boot(script);
    const client = join(root.path, 'opt/tradewind/valkey-8.1.4/bin/valkey-cli');
    await rm(`${client}.loaded`);
    await writeFile(`${client}.role`, 'slave\n');
    await root.boot(script);
    await expect(readFile(`${client}.loaded`)).rejects.toThrow('ENOENT');
  });
});

describe('write_file', () => {
  const SCRIPT = `set -euo pipefail
    shopt -s inherit_errexit
    root=$1
    . ${TERRAFORM_ROOT}startup/functions.sh
    good() { echo new; }
    bad() { echo half; false; echo other half; }
    write_file "$root/file" 0600 root "$2"`;

  it('writes all that a command prints, or nothing when it fails', async () => {
    const write = (command: string) => run('bash', ['-c', SCRIPT, 'test', root.path, command]);
    await write('good');
    expect(await root.installed('file')).toBe('new\n');
    await expect(write('bad')).rejects.toThrow();
    await expect(write('false')).rejects.toThrow();
    expect(await root.installed('file')).toBe('new\n');
  });
});

it(
  'is made of scripts that shellcheck finds nothing in',
  async (context) => {
    if (!(await bringShellcheck()))
      context.skip('shellcheck is not here, and only root on Debian can bring it');
    const scripts = {
      'vm.sh': renderStartup('vm-startup.sh.tftpl', VM_VALUES),
      'redis.sh': renderStartup('redis-startup.sh.tftpl', REDIS_VALUES),
    };
    for (const [name, text] of Object.entries(scripts)) {
      await writeFile(join(root.path, name), text);
      await run('shellcheck', [join(root.path, name)]);
    }
    await writeFile(join(root.path, 'faulty.sh'), '#!/bin/sh\nrm -r $1\n');
    await expect(run('shellcheck', [join(root.path, 'faulty.sh')])).rejects.toThrow();
  },
  SHELLCHECK_DEADLINE_MS,
);

/** Whether there is a shellcheck; as root on Debian, installed by apt when there was none. */
async function bringShellcheck(): Promise<boolean> {
  const works = (command: string, ...args: string[]) =>
    run(command, args).then(
      () => true,
      () => false,
    );
  if (await works('shellcheck', '--version')) return true;
  if (process.getuid?.() !== 0 || !(await works('apt-get', '--version'))) return false;
  const script = new URL('../../infra/dev/install-debian-packages.sh', import.meta.url);
  await run('sh', [fileURLToPath(script), 'shellcheck']);
  return true;
}
