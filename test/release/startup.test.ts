import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { makeRelease, type Release, readUnitFile } from '@tradewind/release';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../support/clients/client.ts';
import { startRedis } from '../support/redis/redis.ts';
import { eventually } from '../support/suite/wait.ts';
import { createBaseRoot, untilListening } from './base-root.ts';
import { startCloudStandIn } from './cloud-stand-in.ts';

const STARTUP = `${WORKSPACE_ROOT}terraform/startup`;
const IS_ROOT = process.getuid?.() === 0;
const SECRET = 'projects/p/secrets/redis-password/versions/1';
const ADMIN_SECRET = 'projects/p/secrets/admin-token/versions/1';
const WRONG_SHA256 = '0'.repeat(64);

/** Programs of a running system that the script calls; their arguments are recorded. */
const STUBBED = ['systemctl', 'sysctl'];

let folder: string;
let release: Release;

describe.runIf(IS_ROOT && existsSync(STARTUP))('the start-up script of an edge', () => {
  beforeAll(async () => {
    folder = await mkdtemp(`${tmpdir()}/tradewind-startup-`);
    release = await makeRelease(folder);
    for (const program of STUBBED) {
      const path = `${folder}/stubs/${program}`;
      await mkdir(`${folder}/stubs`, { recursive: true });
      await writeFile(path, `#!/bin/sh\necho "${program} $*" >>"$CALLS"\n`);
      await chmod(path, 0o755);
    }
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('installs a release that starts with its settings and secrets', async () => {
    await using redis = await startRedis({ args: ['--requirepass', 'sesame'] });
    await using root = await createBaseRoot();
    const result = await boot(root.folder, artifact().sha256, redis.url);
    expect(result.output).toContain('started tradewind-edge');
    expect(result.code).toBe(0);
    expect(result.calls.filter((call) => call.includes(' start '))).toEqual([
      'systemctl start tradewind-edge.service',
    ]);
    expect(result.calls).toContain('systemctl daemon-reload');
    expect(existsSync(`${root.folder}/etc/sysctl.d/60-tradewind.conf`)).toBe(true);
    expect(existsSync(`${root.folder}/etc/sysusers.d/tradewind.conf`)).toBe(true);

    const env = await readEnvironmentFile(`${root.folder}/etc/tradewind/edge.env`);
    expect(env).toMatchObject({ EDGE_NODE_ID: 'edge-xk3f', ADMIN_TOKEN: 'open-sesame' });
    const unit = `${root.folder}/etc/systemd/system/tradewind-edge.service`;
    await root.addLibrariesOf(`/opt/tradewind/edge-${release.version}/bin/node`);
    // On a machine, the files with secrets belong to the service's group, which does not exist here.
    await chmod(`${root.folder}/etc/tradewind`, 0o755);
    await chmod(`${root.folder}/etc/tradewind/redis-password`, 0o644);
    await using edge = await root.start(readUnitFile(await readFile(unit, 'utf8')), env);
    const { port, adminPort } = await untilListening(edge);
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
    await using client = await TestClient.connect(`ws://127.0.0.1:${port}/ws`, { channels: ['a'] });
    expect(client.welcome.node).toBe('edge-xk3f');
    expect((await fetch(`http://127.0.0.1:${adminPort}/metrics`)).status).toBe(401);

    const again = await boot(root.folder, artifact().sha256, redis.url);
    expect(again.code).toBe(0);
    expect(again.asked.some((path) => path.endsWith('.tar.gz'))).toBe(false);
  });

  it('starts nothing with a wrong checksum, and leaves no part of it behind', async () => {
    await using root = await createBaseRoot();
    const result = await boot(root.folder, WRONG_SHA256, 'redis://127.0.0.1:1');
    expect(result.code).not.toBe(0);
    expect(result.output).toContain('does not have the checksum');
    expect(result.asked.some((path) => path.endsWith('.tar.gz'))).toBe(true);
    expect(result.calls.filter((call) => call.includes(' start '))).toEqual([]);
    expect(existsSync(`${root.folder}/opt/tradewind/edge`)).toBe(false);
    expect(existsSync(`${root.folder}/opt/tradewind/edge-${release.version}`)).toBe(false);
    expect(existsSync(`${root.folder}/opt/tradewind/edge-${release.version}.tar.gz`)).toBe(false);
  });
});

function artifact() {
  const found = release.artifacts.find(({ service }) => service === 'edge');
  if (found === undefined) throw new Error('no edge was released');
  return found;
}

/** Runs the script like a VM at boot, with all its changes below `root`. */
async function boot(root: string, sha256: string, redisUrl: string) {
  const { file } = artifact();
  await using cloud = await startCloudStandIn(
    { [`releases/${file}`]: `${folder}/${file}` },
    { [SECRET]: 'sesame', [ADMIN_SECRET]: 'open-sesame' },
  );
  const environment = [
    ...['HOST=127.0.0.1', 'PORT=0', 'ADMIN_PORT=0', 'EDGE_WORKERS=1', `REDIS_URL=${redisUrl}`],
    'REDIS_PASSWORD_FILE=/etc/tradewind/redis-password',
  ];
  const script = await render(`${STARTUP}/vm-startup.sh.tftpl`, {
    ...{ service: 'edge', version: release.version, bucket: 'releases', object: file, sha256 },
    environment_base64: base64(environment.map((line) => `${line}\n`).join('')),
    secret_files_base64: base64(`redis-password ${SECRET}\n`),
    secret_variables_base64: base64(`ADMIN_TOKEN ${ADMIN_SECRET}\n`),
    redis_ca_base64: '',
    agent_base64: '',
    root,
    ...{ metadata_host: cloud.url, storage_host: cloud.url, secret_manager_host: cloud.url },
    functions: await readFile(`${STARTUP}/functions.sh`, 'utf8'),
  });
  const calls = `${folder}/calls`;
  await writeFile(calls, '');
  const child = spawn('bash', ['-c', script], {
    env: { PATH: `${folder}/stubs:${process.env.PATH}`, CALLS: calls },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pieces: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => pieces.push(piece));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  const called = (await readFile(calls, 'utf8')).trim().split('\n');
  return { code, output: pieces.join(''), calls: called, asked: cloud.asked };
}

/** Renders a template like Terraform's `templatefile`; every variable must be given. */
async function render(path: string, values: Readonly<Record<string, string>>): Promise<string> {
  const template = await readFile(path, 'utf8');
  return template.replace(/\$\{(\w+)\}/g, (_all, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${path} wants ${name}`);
    return value;
  });
}

async function readEnvironmentFile(path: string): Promise<Record<string, string>> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
