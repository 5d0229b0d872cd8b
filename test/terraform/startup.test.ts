import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encoded, renderStartup } from './startup.ts';

const run = promisify(execFile);

/** Commands of a VM that a test must not run; what they were told is written down. */
const STUBS = ['systemctl', 'sysctl'];

/** As on Google's machines; a test that runs a script says where its stand-ins are. */
const HOSTS = {
  root: '',
  metadata_host: 'http://metadata.google.internal',
  storage_host: 'https://storage.googleapis.com',
  secret_manager_host: 'https://secretmanager.googleapis.com',
};

const VM_VALUES = {
  ...HOSTS,
  service: 'edge',
  version: '1.2.3',
  bucket: 'releases',
  object: 'edge.tar.gz',
  sha256: '0'.repeat(64),
  environment_base64: encoded('EDGE_CHANNELS=BTC.*,ETH.*\n'),
  secret_files_base64: encoded('redis-password projects/p/secrets/redis/versions/1\n'),
  secret_variables_base64: encoded('INGEST_TOKENS projects/p/secrets/tokens/versions/latest\n'),
  redis_ca_base64: encoded('a certificate'),
};

const REDIS_VALUES = {
  ...HOSTS,
  engine: 'valkey',
  version: '8.1.4',
  bucket: 'releases',
  object: 'valkey-8.1.4.tar.gz',
  sha256: '0'.repeat(64),
  configuration_base64: '',
  users_base64: '',
  secret_files_base64: '',
  ca_base64: '',
  replication_secret: 'projects/p/secrets/replication/versions/latest',
  memory_percent: '60',
};

let folder: string;
let server: Server;
let host: string;
let tarball: Buffer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tradewind-startup-'));
  await mkdir(join(folder, 'bin'));
  for (const name of STUBS) {
    const stub = `#!/bin/sh\necho "${name} $*" >>"${folder}/calls"\ncase "$*" in is-active*) exit 0 ;; esac\n`;
    await writeFile(join(folder, 'bin', name), stub, { mode: 0o755 });
  }
  tarball = await makeTarball();
  server = createServer((request, response) => {
    const isFirst = request.headers['metadata-flavor'] === 'Google';
    const isAllowed = request.headers.authorization === 'Bearer a-token';
    const answers: Record<string, string | Buffer | undefined> = {
      '/computeMetadata/v1/instance/name': isFirst ? 'tw-edge-x1' : undefined,
      '/computeMetadata/v1/instance/service-accounts/default/token': isFirst
        ? '{"access_token":"a-token","expires_in":3599}'
        : undefined,
      '/releases/edge.tar.gz': isAllowed ? tarball : undefined,
      '/v1/projects/p/secrets/redis/versions/1:access': isAllowed ? secret('hush\n') : undefined,
      '/v1/projects/p/secrets/tokens/versions/latest:access': isAllowed
        ? secret('one,two')
        : undefined,
      '/v1/projects/p/secrets/odd/versions/latest:access': isAllowed ? secret('a"b') : undefined,
    };
    const answer = answers[request.url ?? ''];
    response.writeHead(answer === undefined ? 403 : 200).end(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

function secret(text: string): string {
  return JSON.stringify({ name: 'x', payload: { data: encoded(text), dataCrc32c: '1' } }, null, 2);
}

/** A release with an installer that leaves its unit, as a real one does. */
async function makeTarball(): Promise<Buffer> {
  const content = join(folder, 'content');
  await mkdir(content);
  const installer = `#!/bin/sh\nmkdir -p "$1/etc/systemd/system"\necho unit >"$1/etc/systemd/system/tradewind-edge.service"\n`;
  await writeFile(join(content, 'install.sh'), installer, { mode: 0o755 });
  await run('tar', ['-czf', join(folder, 'edge.tar.gz'), '-C', content, '.']);
  return await readFile(join(folder, 'edge.tar.gz'));
}

async function start(changes: Readonly<Record<string, string>> = {}): Promise<string> {
  const script = renderStartup('vm-startup.sh.tftpl', {
    ...VM_VALUES,
    sha256: createHash('sha256').update(tarball).digest('hex'),
    root: join(folder, 'root'),
    ...{ metadata_host: host, storage_host: host, secret_manager_host: host },
    ...changes,
  });
  return await runScript(script);
}

async function runScript(script: string): Promise<string> {
  await writeFile(join(folder, 'startup.sh'), script);
  const env = { ...process.env, PATH: `${folder}/bin:${process.env.PATH}` };
  const { stdout } = await run('bash', [join(folder, 'startup.sh')], { env });
  return stdout;
}

const hasCommand = (name: string) =>
  run(name, ['--version']).then(
    () => true,
    () => false,
  );
const calls = () => readFile(join(folder, 'calls'), 'utf8').catch(() => '');
const installed = (path: string) => readFile(join(folder, 'root', path), 'utf8');

describe('the start-up script of a VM', () => {
  it('installs a verified release, writes its settings and starts it', async () => {
    await start();
    expect(await installed('etc/systemd/system/tradewind-edge.service')).toBe('unit\n');
    expect(await installed('etc/tradewind/edge.env')).toBe(
      'EDGE_NODE_ID=tw-edge-x1\nEDGE_CHANNELS=BTC.*,ETH.*\nINGEST_TOKENS=one,two\n',
    );
    expect(await installed('etc/tradewind/redis-password')).toBe('hush\n');
    expect(await installed('etc/tradewind/redis-ca.pem')).toBe('a certificate');
    const { mode } = await stat(join(folder, 'root/etc/tradewind/redis-password'));
    expect(mode & 0o777).toBe(0o640);
    expect(await calls()).toMatch(/systemctl start tradewind-edge\.service\n$/);
  });

  it('starts again after a reboot without fetching the release again', async () => {
    await start();
    tarball = Buffer.from('gone');
    const sha256 = (await installed('opt/tradewind/edge-1.2.3/.complete')).trim();
    expect(await start({ sha256 })).toContain('edge-1.2.3 is there');
  });

  it('starts nothing when the checksum is wrong', async () => {
    const sha256 = '0'.repeat(64);
    await expect(start({ sha256 })).rejects.toThrow('does not have the checksum');
    expect(await calls()).not.toContain('start');
    await expect(installed('opt/tradewind/edge-1.2.3/install.sh')).rejects.toThrow('ENOENT');
  });

  it('starts nothing when a secret could not be read, or not be told to systemd', async () => {
    const missing = encoded('redis-password projects/p/secrets/none/versions/1\n');
    await expect(start({ secret_files_base64: missing })).rejects.toThrow();
    const odd = encoded('INGEST_TOKENS projects/p/secrets/odd/versions/latest\n');
    await expect(start({ secret_variables_base64: odd })).rejects.toThrow('holds a quote');
    expect(await calls()).not.toContain('start');
  });
});

describe('the start-up script of a Redis', () => {
  it('writes users with the hashes of their passwords, and starts a verified server', async () => {
    const script = renderStartup('redis-startup.sh.tftpl', {
      ...REDIS_VALUES,
      object: 'edge.tar.gz',
      sha256: createHash('sha256').update(tarball).digest('hex'),
      configuration_base64: encoded('port 6379\n'),
      users_base64: encoded('edge projects/p/secrets/redis/versions/1 resetchannels &* +ping\n'),
      replication_secret: 'projects/p/secrets/tokens/versions/latest',
      root: join(folder, 'root'),
      ...{ metadata_host: host, storage_host: host, secret_manager_host: host },
    });
    await runScript(script);
    const hash = createHash('sha256').update('hush').digest('hex');
    expect(await installed('etc/tradewind-redis/users.acl')).toBe(
      `user default off\nuser edge on #${hash} resetchannels &* +ping\n`,
    );
    const configuration = await installed('etc/tradewind-redis/redis.conf');
    expect(configuration).toMatch(/^port 6379\nmaxmemory \d+kb\n/);
    expect(configuration).toContain('masterauth "one,two"\n');
    expect(await calls()).toMatch(/systemctl start tradewind-redis\.service\n$/);
  });
});

it('is made of scripts that shellcheck finds nothing in', async (context) => {
  if (!(await hasCommand('shellcheck'))) context.skip('shellcheck is not installed');
  const scripts = {
    'vm.sh': renderStartup('vm-startup.sh.tftpl', VM_VALUES),
    'redis.sh': renderStartup('redis-startup.sh.tftpl', REDIS_VALUES),
  };
  for (const [name, text] of Object.entries(scripts)) {
    await writeFile(join(folder, name), text);
    await run('shellcheck', [join(folder, name)]);
  }
});
