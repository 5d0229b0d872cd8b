import { execFileSync, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { makeRelease, type Release, readUnitFile } from '@tradewind/release';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../support/clients/client.ts';
import { startRedis } from '../support/redis/redis.ts';
import { eventually } from '../support/suite/wait.ts';
import { type BaseRoot, createBaseRoot, untilListening } from './base-root.ts';

const IS_ROOT = process.getuid?.() === 0;
const HAS_SYSTEMD = has('systemd-analyze');
/** Settings in the form of `/etc/tradewind/*.env`. */
const ENV = { HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0' };

let folder: string;
let release: Release;

beforeAll(async () => {
  folder = await mkdtemp(`${tmpdir()}/tradewind-release-`);
  release = await makeRelease(folder);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe.runIf(IS_ROOT)('the tarballs', () => {
  it('are the same, byte for byte, if they are made again', async () => {
    const again = await mkdtemp(`${tmpdir()}/tradewind-release-`);
    try {
      expect(await makeRelease(again)).toEqual(release);
    } finally {
      await rm(again, { recursive: true, force: true });
    }
  });

  it('have the reported checksums', () => {
    for (const { file } of release.artifacts) {
      execFileSync('sha256sum', ['--check', '--strict', `${file}.sha256`], { cwd: folder });
    }
    execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: folder });
  });

  it('come with lists of their parts, and with a statement that names all of these files', async () => {
    const statement = JSON.parse(await readFile(join(folder, 'provenance.json'), 'utf8'));
    const named = (statement.subject as { readonly name: string }[]).map(({ name }) => name);
    expect(named).toEqual(release.artifacts.flatMap(({ file, sbom }) => [file, sbom.file]));
    for (const { service, sbom } of release.artifacts) {
      const { components } = JSON.parse(await readFile(join(folder, sbom.file), 'utf8'));
      const names = (components as { readonly name: string }[]).map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(['node', 'ioredis', 'pino']));
      expect(names.includes('ws'), service).toBe(service !== 'ingest');
      expect(names.includes('uplot'), service).toBe(service === 'console');
    }
  });

  it('contain nothing of the machine that made them', async () => {
    await using root = await unpacked('edge');
    const app = `${root.folder}/opt/tradewind/edge-1/app`;
    const entries = await readdir(app, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    expect(files.map(({ name }) => name)).toContain('koffi.node');
    for (const { parentPath, name } of files) {
      const contents = await readFile(join(parentPath, name));
      expect(contents.includes(WORKSPACE_ROOT), name).toBe(false);
      expect(contents.toString()).not.toMatch(/require\(["'](bufferutil|utf-8-validate)["']\)/);
    }
    const manifest = `${root.folder}/opt/tradewind/edge-1/manifest.json`;
    const { files: listed, commit } = JSON.parse(await readFile(manifest, 'utf8'));
    expect(commit).toBe(release.commit);
    const sums = Object.entries(listed as Record<string, { readonly sha256: string }>)
      .map(([path, { sha256 }]) => `${sha256}  ${path}\n`)
      .join('');
    execFileSync('sha256sum', ['--check', '--strict'], {
      cwd: `${root.folder}/opt/tradewind/edge-1`,
      input: sums,
    });
  });
});

describe.runIf(IS_ROOT)('in a root with nothing but base libraries', () => {
  it.each(['1', '2'])(
    'an edge with EDGE_WORKERS=%s and an ingest start by their units, serve and drain on SIGTERM',
    async (workers) => {
      await using redis = await startRedis();
      await using root = await unpacked('edge', 'ingest');
      const env = {
        ...ENV,
        REDIS_URL: redis.url,
        EDGE_WORKERS: workers,
        DRAIN_ACCEPT_SECONDS: '0',
      };
      await using edge = await root.start(await unitOf(root, 'edge'), {
        ...env,
        DRAIN_SECONDS: '5',
      });
      await using ingest = await root.start(await unitOf(root, 'ingest'), env);
      const { port } = await untilListening(edge);
      expect(edge.output.join('\n'), 'its native code loads').toContain('"writes":"send"');
      const { port: ingestPort } = await untilListening(ingest);
      await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
      for (const [service, at] of [
        ['edge', port],
        ['ingest', ingestPort],
      ] as const) {
        const { headers } = await fetch(`http://127.0.0.1:${at}/healthz`);
        const { HTTP_KEEP_ALIVE_SECONDS } = (await unitOf(root, service)).environment;
        expect(headers.get('keep-alive')).toBe(`timeout=${HTTP_KEEP_ALIVE_SECONDS}`);
      }

      const client = await TestClient.connect(`ws://127.0.0.1:${port}/ws`, {
        channels: ['BTC.trade'],
      });
      const payload = '{"price":1.10}';
      await eventually(async () => {
        const answer = await fetch(`http://127.0.0.1:${ingestPort}/v1/channels/BTC.trade`, {
          method: 'POST',
          body: payload,
        });
        return answer.ok;
      });
      await client.waitFor(() => client.publications.length > 0);
      expect(client.publications[0]?.data).toBe(payload);

      edge.signal('SIGTERM');
      ingest.signal('SIGTERM');
      expect(await client.closed).toEqual({ code: 1012, reason: 'draining' });
      expect(client.controlsOf('reconnect')).toHaveLength(1);
      expect(await edge.exited).toEqual({ code: 0, signal: null });
      expect(await ingest.exited).toEqual({ code: 0, signal: null });
    },
  );

  it('a console starts by its unit, and serves its page', async () => {
    await using redis = await startRedis();
    await using root = await unpacked('console');
    const env = { ...ENV, REDIS_URL: redis.url };
    await using started = await root.start(await unitOf(root, 'console'), env);
    const { port } = await untilListening(started);
    const page = await fetch(`http://127.0.0.1:${port}/`);
    expect(await page.text()).toContain('<script type="module" src="/page.js">');
    const script = await fetch(`http://127.0.0.1:${port}/page.js`);
    expect(script.headers.get('content-type')).toMatch(/^text\/javascript/);
    started.signal('SIGTERM');
    expect(await started.exited).toEqual({ code: 0, signal: null });
  });

  it('the command that replays files starts too', async () => {
    await using root = await unpacked('ingest');
    const help = spawnSync('/usr/sbin/chroot', [
      ...[root.folder, '/opt/tradewind/ingest/bin/node'],
      ...['/opt/tradewind/ingest/app/replay-main.js', '--help'],
    ]);
    expect(`${help.stdout}${help.stderr}`).toMatch(/replay/i);
  });
});

describe.runIf(IS_ROOT && HAS_SYSTEMD)('systemd-analyze verify', () => {
  it('has units that systemd accepts where they are installed; it refuses a broken one', async () => {
    await using root = await unpacked('edge', 'ingest', 'console');
    await cp('/lib/systemd/system', `${root.folder}/lib/systemd/system`, {
      recursive: true,
      verbatimSymlinks: true,
    });
    for (const service of ['edge', 'ingest', 'console']) {
      expect(verify(root, service)).toEqual({ status: 0, output: '' });
    }
    const path = `${root.folder}/etc/systemd/system/tradewind-edge.service`;
    const unit = await readFile(path, 'utf8');
    await writeFile(path, unit.replace('TimeoutStopSec=75', 'TimeoutStopSecs=75'));
    expect(verify(root, 'edge').output).toMatch(/Unknown key/);
    await writeFile(path, unit.replace('/bin/node', '/bin/deno'));
    expect(verify(root, 'edge').status).not.toBe(0);
  });
});

/** A root in which the services are installed, as release `-1`. */
async function unpacked(...services: readonly string[]): Promise<BaseRoot> {
  const root = await createBaseRoot();
  for (const service of services) {
    const artifact = release.artifacts.find((each) => each.service === service);
    const home = `/opt/tradewind/${service}-1`;
    await root.unpack(`${folder}/${artifact?.file}`, home);
    execFileSync(`${root.folder}${home}/install.sh`, [root.folder]);
    await root.addLibrariesOf(`${home}/bin/node`);
  }
  return root;
}

async function unitOf(root: BaseRoot, service: string) {
  const path = `${root.folder}/etc/systemd/system/tradewind-${service}.service`;
  return readUnitFile(await readFile(path, 'utf8'));
}

function verify(root: BaseRoot, service: string) {
  const unit = `tradewind-${service}.service`;
  const { status, stdout, stderr } = spawnSync(
    'systemd-analyze',
    ['verify', `--root=${root.folder}`, '--man=no', unit],
    { encoding: 'utf8' },
  );
  return { status, output: stdout + stderr };
}

function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}
