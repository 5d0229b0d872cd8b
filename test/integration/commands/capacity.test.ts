import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type OwnedProcess,
  parseMetrics,
  startProcess,
  WORKSPACE_NODE,
  WORKSPACE_ROOT,
} from '@tradewind/dev';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bringOpenssl, startTlsTerminator } from '../../support/faults/tls-terminator.ts';
import { createTestAuthority } from '../../support/identity/certificates.ts';
import { hs256, makeToken, nowSeconds } from '../../support/identity/tokens.ts';
import { startRedis } from '../../support/redis/redis.ts';
import { COMPILE_CACHE } from '../../support/services/compile-cache.ts';
import { IS_LONG } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const CAPACITY = [WORKSPACE_NODE, 'bench/capacity/main.ts'];
/** A small load; its latency does not matter to these tests. */
const SMALL = {
  TARGET_CONNECTIONS: '60',
  RAMP_RATE: '200',
  DURATION: '3',
  PUBLISH_RATE: '100',
  MAX_P99_MS: '30000',
};

/** The processes of a run, by a part of their commands. */
const PARTS = ['services/edge', 'redis-server', 'publisher-process', 'load-process'];

/** Longer than a small run takes, in ms. */
const RUN_DEADLINE_MS = 90_000;

/** Whether a certificate can be made for a run over TLS. */
const CAN_SIGN = await bringOpenssl();

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capacity-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('npm run capacity', () => {
  it('loads an edge that it starts, also with offsets and clients that read nothing, and reports', async () => {
    await using run = await start(CAPACITY, { ...SMALL, HISTORY_SIZE: '50', STALLED_SHARE: '0.1' });
    const { code } = await ended(run);
    expect({ code, output: run.output.join('\n') }).toMatchObject({ code: 0 });
    const { published, verdict, totals } = await report();
    expect(published.total).toBeGreaterThan(250);
    expect(published.refused).toBe(0);
    expect(verdict.steady).toMatchObject({ connections: 54, exact: 54, missing: 0 });
    expect(totals.subscribed).toBe(60);
  });

  it('loads a running tier by its ws:// URLs, with binary frames', async () => {
    await using tier = await startTier({ edges: 2 });
    const TARGET_URLS = tier.edges.map(({ wsUrl }) => wsUrl).join(',');
    const running = { TARGET_URLS, REDIS_URL: tier.redis.url, WIRE: 'v2' };
    await using run = await start(CAPACITY, { ...SMALL, ...running });
    const { code } = await ended(run);
    expect({ code, output: run.output.join('\n') }).toMatchObject({ code: 0 });
    const { target, verdict, totals } = await report();
    expect(target).toContain(new URL(tier.edges[1]!.wsUrl).origin);
    expect(verdict.steady).toMatchObject({ connections: 60, exact: 60, missing: 0 });
    expect(totals).toMatchObject({ subscribed: 60, failed: {} });
    for (const { adminUrl } of tier.edges) {
      const metrics = parseMetrics(await (await fetch(`${adminUrl}/metrics`)).text());
      expect(metrics.sum('tradewind_edge_deflated_total')).toBeGreaterThan(0);
    }
  });

  // The next one is over TLS as well.
  it.runIf(CAN_SIGN && IS_LONG)(
    'loads one by a wss:// URL if Node trusts its certificate, and reports the reason otherwise',
    async () => {
      await using tier = await startTier({ edges: 1 });
      await using terminator = await startTlsTerminator(tier.edges[0]!.port);
      const TARGET_URLS = `wss://localhost:${terminator.port}/ws`;
      const secure = { ...SMALL, TARGET_URLS, REDIS_URL: tier.redis.url };

      await using untrusting = await start(CAPACITY, secure);
      expect((await ended(untrusting)).code).toBe(1);
      expect(untrusting.output.join('\n')).toMatch(/60 × DEPTH_ZERO_SELF_SIGNED_CERT/);
      expect(await readdir(folder)).toEqual([]);

      const trust = { NODE_EXTRA_CA_CERTS: terminator.certificateFile };
      await using run = await start(CAPACITY, { ...secure, ...trust, STALLED_SHARE: '0.1' });
      const { code } = await ended(run);
      expect({ code, output: run.output.join('\n') }).toMatchObject({ code: 0 });
      const { verdict, released, totals } = await report();
      expect(verdict.steady).toMatchObject({ connections: 54, exact: 54, missing: 0 });
      expect(verdict.stalled).toMatchObject({ connections: 6, received: 0 });
      expect(released.stalled).toMatchObject({ connections: 6, exact: 6 });
      expect(totals).toMatchObject({ subscribed: 60, failed: {} });
    },
  );

  it.runIf(CAN_SIGN)(
    'loads an edge with a certificate of its own that asks for tokens, and reports none of them',
    async () => {
      await using authority = await createTestAuthority();
      const edge = await authority.issue('an edge', 'DNS:localhost');
      const key = 'a key of HS256 for the edge of this test';
      const [keyFile, tokenFile] = ['key', 'tokens'].map((name) => join(folder, name));
      await writeFile(keyFile!, key);
      const tokens = ['one', 'two'].map((sub) => {
        const claims = { sub, exp: nowSeconds() + 600, tw: { channels: ['capacity.*'] } };
        return makeToken({ alg: 'HS256' }, claims, hs256(key));
      });
      await writeFile(tokenFile!, tokens.join('\n'));
      const env = {
        ...{ EDGE_TLS_CERT_FILE: edge.certificateFile, EDGE_TLS_KEY_FILE: edge.keyFile },
        ...{ EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: keyFile! },
        ...{ NODE_EXTRA_CA_CERTS: authority.certificateFile, RESULTS_DIR: join(folder, 'r') },
      };
      await using strangers = await start(CAPACITY, { ...SMALL, ...env });
      expect((await ended(strangers)).code).toBe(1);
      expect(strangers.output.join('\n')).toMatch(/60 × auth_required/);

      await using run = await start(CAPACITY, { ...SMALL, ...env, TOKEN_FILE: tokenFile! });
      const { code } = await ended(run);
      expect({ code, output: run.output.join('\n') }).toMatchObject({ code: 0 });
      const files = await readdir(join(folder, 'r'));
      expect(files.length).toBeGreaterThan(0);
      for (const file of files) {
        const text = await readFile(join(folder, 'r', file), 'utf8');
        for (const token of tokens) expect(text).not.toContain(token);
      }
      for (const token of tokens) expect(run.output.join('\n')).not.toContain(token);
    },
  );

  it('publishes nothing if no client gets connected, and says why', async () => {
    await using redis = await startRedis();
    const dead = { TARGET_URLS: 'ws://127.0.0.1:1/ws', REDIS_URL: redis.url };
    await using run = await start(CAPACITY, { ...SMALL, ...dead, DURATION: '3000' });
    const { code } = await ended(run);
    expect(code).toBe(1);
    expect(run.output.join('\n')).toMatch(/not one client got subscribed.*60 × ECONNREFUSED/);
    expect(await readdir(folder)).toEqual([]);
  });

  it('says which Redis does not answer, without a stack', async () => {
    const dead = { TARGET_URLS: 'ws://127.0.0.1:1/ws', REDIS_URL: 'redis://:secret@localhost:1' };
    await using run = await start(CAPACITY, { ...SMALL, ...dead });
    expect((await ended(run)).code).toBe(1);
    const output = run.output.join('\n');
    expect(output).toMatch(/nothing can be published into Redis: localhost:1: .*ECONNREFUSED/);
    expect(output).not.toMatch(/secret|^ +at /m);
  });

  // Only Linux still knows the former parent of a process whose parent has ended.
  it.runIf(process.platform === 'linux')(
    'ends with the npm that started it, and all that it started with it',
    async () => {
      const long = { ...SMALL, DURATION: '3000' };
      await using run = await start(['npm', 'run', '-s', 'capacity'], long);
      let started: readonly Started[] = [];
      await eventually(
        async () => {
          started = await descendantsOf(run.pid);
          return PARTS.every((part) => started.some(({ command }) => command.includes(part)));
        },
        { deadlineMs: RUN_DEADLINE_MS },
      );
      run.signal('SIGTERM');
      try {
        await eventually(async () => (await stillThere(started)).length === 0, {
          deadlineMs: 10_000,
        });
      } finally {
        for (const { pid } of await stillThere(started)) process.kill(pid, 'SIGKILL');
      }
    },
  );
});

/** Reads the data of the one run that wrote a report. */
async function report() {
  const data = (await readdir(folder)).find((name) => name.endsWith('.json')) as string;
  return JSON.parse(await readFile(join(folder, data), 'utf8'));
}

async function start(
  command: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<OwnedProcess> {
  const [program, ...args] = command as [string, ...string[]];
  const { PATH, HOME } = process.env;
  return await startProcess({
    name: 'capacity',
    command: program,
    args,
    env: { PATH, HOME, RESULTS_DIR: folder, ...COMPILE_CACHE, ...variables },
    cwd: WORKSPACE_ROOT,
  });
}

async function ended(run: OwnedProcess) {
  const late = setTimeout(() => run.signal('SIGKILL'), RUN_DEADLINE_MS);
  return await run.exited.finally(() => clearTimeout(late));
}

/** A process and its command at the start. */
interface Started {
  readonly pid: number;
  readonly command: string;
}

async function descendantsOf(ancestor: number): Promise<readonly Started[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = new Map(
    await Promise.all(pids.map(async (pid) => [pid, await parentOf(pid)] as const)),
  );
  const descends = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === ancestor || descends(parents.get(pid)));
  const found = pids.filter((pid) => descends(parents.get(pid)));
  return await Promise.all(found.map(async (pid) => ({ pid, command: await commandOf(pid) })));
}

/** Returns those that have not ended; a process that only waits for its parent has no command any more. */
async function stillThere(started: readonly Started[]): Promise<readonly Started[]> {
  const commands = await Promise.all(started.map(({ pid }) => commandOf(pid)));
  return started.filter(({ command }, i) => command !== '' && commands[i] === command);
}

async function commandOf(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}

async function parentOf(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, parent] = /^PPid:\s*(\d+)$/m.exec(status) ?? [];
  return parent === undefined ? undefined : Number(parent);
}
