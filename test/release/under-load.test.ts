import { expect, it } from 'vitest';
import {
  ADMIN_TOKEN,
  type BalancedTier,
  type EdgePlace,
  shippedSettings,
  startBalancedTier,
} from './balanced-tier.ts';
import {
  CHANNELS,
  CLIENTS,
  type ClientsUnderLoad,
  expectNothingMissed,
  judge,
  startClients,
} from './clients-under-load.ts';
import { type Published, startNumberedLoad } from './numbered-load.ts';
import { nodeOptions, startRollCommand, untilEnded } from './roll-command.ts';
import { startSupervisor } from './supervisor.ts';

/** The share of all clients that may be moved in any second. */
const MAX_SHARE = 0.1;

/** How far a node may be from its share of clients once the tier has settled. */
const TOLERANCE = 0.1;
const SETTLED_WITHIN_MS = 120_000;

/** For each of three nodes: its drain, its start, the time in which it is watched, and a reserve. */
const ROLLED_WITHIN_MS = 3 * 110_000;

it('rolls three edges under load: nobody misses anything, receives anything twice, or is without a connection', async () => {
  await using tier = await startTier(['edge-1', 'edge-2', 'edge-3']);
  const load = await startNumberedLoad(tier.ingest.url, CHANNELS);
  using clients = await startClients(tier);
  const before = tier.places.map(({ name }) => tier.edgeAt(name).pid);
  await using supervisor = await startSupervisor((name) => tier.start(name));
  const options = [
    ...['--drain-seconds', shippedSettings('edge').DRAIN_SECONDS ?? ''],
    ...['--replace', supervisor.command],
  ];
  await using roll = await startRollCommand([...nodeOptions(tier), ...options], { ADMIN_TOKEN });
  const { code } = await untilEnded(roll, ROLLED_WITHIN_MS);
  console.log(roll.output.join('\n'));
  expect(code).toBe(0);
  expect(supervisor.replaced).toEqual(['edge-1', 'edge-2', 'edge-3']);
  const after = tier.places.map(({ name }) => tier.edgeAt(name).pid);
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
  await expectGentleMoves(clients, await load.stop());
});

it('scales out under load from two full edges to three, each with its share within two minutes', async () => {
  const full = { WS_MAX_CONNECTIONS: String(CLIENTS / 2) };
  await using tier = await startTier(['edge-1', 'edge-2'], ['edge-3'], full);
  const load = await startNumberedLoad(tier.ingest.url, CHANNELS);
  using clients = await startClients(tier);
  const options = [
    ...['--watch', '--interval', '5', '--looks', '3'],
    ...['--over', '30', '--max-share', String(MAX_SHARE / 2)],
  ];
  await using watch = await startRollCommand([...nodeOptions(tier), ...options], { ADMIN_TOKEN });
  await watch.waitForLine((line) => (line.endsWith(' even') ? line : undefined), 20_000);
  expect(await reasonsOf(tier, 'edge-1')).toEqual(['full']);
  expect(await reasonsOf(tier, 'edge-2')).toEqual(['full']);
  const startedAt = performance.now();
  await tier.start('edge-3');
  await tier.announce('edge-3');
  await watch.waitForLine(
    (line) => (watch.output.indexOf(line) > 0 && line.endsWith(' even') ? line : undefined),
    SETTLED_WITHIN_MS,
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  const held = await Promise.all(tier.places.map(connectionsOf));
  expect((await watch.stop()).code).toBe(0);
  console.log(watch.output.join('\n'));
  console.log(`after ${seconds.toFixed(1)} s the edges hold ${held.join(', ')}`);
  const share = CLIENTS / 3;
  for (const each of held) expect(Math.abs(each - share)).toBeLessThanOrEqual(share * TOLERANCE);
  await expectGentleMoves(clients, await load.stop());
});

/** Expects that clients moved without a burst, and noticed nothing else. */
async function expectGentleMoves(clients: ClientsUnderLoad, published: Published): Promise<void> {
  const verdict = await judge(clients, published);
  expectNothingMissed(verdict);
  expect(verdict.moves).toBeGreaterThan(CLIENTS / 4);
  expect(verdict.burst).toBeLessThanOrEqual(Math.ceil(CLIENTS * MAX_SHARE));
}

/** A tier whose `running` nodes run from the start; for `later` ones only a place in the group is kept. */
async function startTier(
  running: readonly string[],
  later: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<BalancedTier> {
  const tier = await startBalancedTier([...running, ...later], {}, env);
  for (const name of running) {
    await tier.start(name);
    await tier.announce(name);
  }
  return tier;
}

async function reasonsOf(tier: BalancedTier, name: string): Promise<readonly string[]> {
  const answer = await fetch(`${tier.edgeAt(name).adminUrl}/readyz`);
  return ((await answer.json()) as { readonly reasons: readonly string[] }).reasons;
}

async function connectionsOf({ adminPort }: EdgePlace): Promise<number> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const answer = await fetch(`http://127.0.0.1:${adminPort}/debug/index`, { headers });
  return ((await answer.json()) as { readonly connections: number }).connections;
}
