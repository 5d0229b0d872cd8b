import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { TcpBalancer } from '../support/faults/tcp-balancer.ts';
import { hs256, makeToken, nowSeconds } from '../support/identity/tokens.ts';
import { startIngest, untilLinked } from '../support/services/service.ts';
import { startTier } from '../support/tier.ts';

it('confirms a tier of two edges, a drain included, and fails if something is wrong', async () => {
  await using tier = await startTier({
    edges: 2,
    env: { DRAIN_SECONDS: '12', DRAIN_ACCEPT_SECONDS: '4', EDGE_PING_SECONDS: '1' },
  });
  await using ingest = await startIngest({ REDIS_URL: tier.redis.url, INGEST_TOKENS: 'sesame' });
  await untilLinked(ingest);
  const backends = tier.edges.map(({ port }, i) => ({ name: `${i}`, host: '127.0.0.1', port }));
  await using balancer = await TcpBalancer.start(backends, { checkEveryMs: 500 });
  const folder = await mkdtemp(`${tmpdir()}/tradewind-smoke-`);
  try {
    await writeFile(`${folder}/token`, 'sesame\n');
    await writeFile(`${folder}/wrong`, 'open\n');
    const target = [`ws://127.0.0.1:${balancer.port}/ws`, '--ingest', ingest.url];

    const good = await smoke(
      [
        ...[...target, '--token-file', `${folder}/token`, '--nodes', '2'],
        ...['--idle-seconds', '3', '--wait-for-drain', '60'],
      ],
      (output) => {
        if (output.includes('drain a node now')) tier.edges[0]?.signal('SIGTERM');
      },
    );
    expect(good.output).not.toContain('FAILED');
    expect(good.output.match(/^ok /gm)).toHaveLength(10);
    expect(good.output).toContain('skipped  certificate: the URL is not wss:');
    expect(good.output).toContain('skipped  identity: nodes ask no client who it is');
    expect(good.code).toBe(0);

    const bad = await smoke([...target, '--token-file', `${folder}/wrong`, '--idle-seconds', '0']);
    expect(bad.output).toMatch(/^FAILED {3}bytes: ingest answered 401/m);
    expect(bad.code).toBe(1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('confirms edges that ask for tokens and for an origin, and fails without them', async () => {
  const folder = await mkdtemp(`${tmpdir()}/tradewind-smoke-`);
  try {
    const key = 'a key of HS256 for the edges of this test';
    await writeFile(`${folder}/key`, key);
    await using tier = await startTier({
      edges: 1,
      env: {
        EDGE_AUTH: 'jwt',
        EDGE_JWT_HS256_KEY_FILE: `${folder}/key`,
        EDGE_ORIGINS: 'https://app.example',
      },
    });
    await using ingest = await startIngest({ REDIS_URL: tier.redis.url });
    await untilLinked(ingest);
    const claims = { sub: 'smoke', exp: nowSeconds() + 600, tw: { channels: ['smoke.*'] } };
    await writeFile(`${folder}/client`, `${makeToken({ alg: 'HS256' }, claims, hs256(key))}\n`);
    const target = [tier.edges[0]!.wsUrl, '--ingest', ingest.url, '--idle-seconds', '0'];
    const token = ['--client-token-file', `${folder}/client`];

    const good = await smoke([...target, ...token, '--origin', 'https://app.example']);
    expect(good.output).not.toContain('FAILED');
    expect(good.output).toMatch(/^ok {7}identity: edge-1 takes the token/m);
    expect(good.code).toBe(0);

    const foreign = await smoke([...target, ...token, '--origin', 'https://evil.example']);
    expect(foreign.output).toMatch(/^FAILED {3}welcome: the handshake was answered with 403/m);
    const stranger = await smoke(target);
    expect(stranger.output).toMatch(/^FAILED {3}identity: give --client-token-file/m);
    expect(stranger.output).toMatch(/^FAILED {3}bytes: .*auth_required/m);
    expect(stranger.code).toBe(1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function smoke(args: readonly string[], watch: (output: string) => void = () => {}) {
  const child = spawn(WORKSPACE_NODE, ['infra/smoke/src/main.ts', ...args], {
    cwd: WORKSPACE_ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    output += piece;
    watch(output);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}
