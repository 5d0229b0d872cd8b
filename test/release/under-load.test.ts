import { expect, it } from 'vitest';
import { eventually } from '../support/wait.ts';
import {
  ADMIN_TOKEN,
  type BalancedTier,
  type EdgePlace,
  shippedSettings,
  startBalancedTier,
} from './balanced-tier.ts';
import { PER_CHANNEL_AND_SECOND, type Published, startNumberedLoad } from './numbered-load.ts';
import {
  createLedger,
  mostInOneSecond,
  ResumingClient,
  type ResumingClientLedger,
} from './resuming-client.ts';
import { startRollCommand } from './roll-command.ts';
import { startSupervisor } from './supervisor.ts';

const CLIENTS = Number(process.env.RELEASE_TEST_CLIENTS ?? 2_000);

/** 200 publications a second, and 20,000 deliveries: what two cores carry beside everything else here. */
const CHANNELS = Array.from({ length: 20 }, (_, i) => `C${i}.trade`);

/** Clients that begin to connect at once, when the load starts. */
const RAMP = 100;

/** Of all clients, the share that may be moved in any second. */
const MAX_SHARE = 0.1;

/** How far a node may be from its share of clients when the tier has settled. */
const TOLERANCE = 0.1;
const SETTLED_WITHIN_MS = 120_000;

/** For each of three nodes: its drain, its start, and the time in which it is watched; and a reserve. */
const ROLLED_WITHIN_MS = 3 * 110_000;

it('rolls three edges under load: nobody misses anything, nothing comes twice, nobody is cut off', async () => {
  await using tier = await startTier(['edge-1', 'edge-2', 'edge-3']);
  const load = await startNumberedLoad(tier.ingest.url, CHANNELS);
  const { clients, ledger } = await startClients(tier);
  const before = tier.places.map(({ name }) => tier.edgeAt(name).pid);
  await using supervisor = await startSupervisor((name) => tier.start(name));
  await using roll = await startRollCommand(tier, [
    ...['--drain-seconds', shippedSettings('edge').DRAIN_SECONDS ?? ''],
    ...['--replace', supervisor.command],
  ]);
  const { code } = await within(ROLLED_WITHIN_MS, roll.exited);
  console.log(roll.output.join('\n'));
  expect(code).toBe(0);
  expect(supervisor.replaced).toEqual(['edge-1', 'edge-2', 'edge-3']);
  const after = tier.places.map(({ name }) => tier.edgeAt(name).pid);
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
  await expectNothingMissed(clients, await load.stop(), ledger);
  for (const client of clients) client.stop();
});

it('scales out under load from two full edges to three, each with its share within two minutes', async () => {
  const full = { WS_MAX_CONNECTIONS: String(CLIENTS / 2) };
  await using tier = await startTier(['edge-1', 'edge-2'], ['edge-3'], full);
  const load = await startNumberedLoad(tier.ingest.url, CHANNELS);
  const { clients, ledger } = await startClients(tier);
  await using watch = await startRollCommand(tier, [
    ...['--watch', '--interval', '5', '--looks', '3'],
    ...['--over', '30', '--max-share', String(MAX_SHARE / 2)],
  ]);
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
  await expectNothingMissed(clients, await load.stop(), ledger);
  for (const client of clients) client.stop();
});

/** Waits until everyone has the last publication, then looks for holes, duplicates and bursts. */
async function expectNothingMissed(
  clients: readonly ResumingClient[],
  { last, perSecond }: Published,
  ledger: ResumingClientLedger,
): Promise<void> {
  await eventually(() => clients.every((client) => client.last === last), { deadlineMs: 20_000 });
  let missed = 0;
  for (const { received, startsAfter } of clients) {
    for (let n = startsAfter + 1; n <= last; n += 1) if (received[n] === 0) missed += 1;
  }
  const moves = ledger.movedAt.length;
  const burst = mostInOneSecond(ledger.movedAt);
  console.log(
    `${last * CHANNELS.length} publications, ${perSecond.toFixed(0)} a second, ${clients.length} clients, ` +
      `${moves} moves, ${ledger.recoveries} of them recovered, at most ${burst} in a second, ` +
      `${ledger.strandedAt.length} cut off, ${missed} missed, ${ledger.duplicates} duplicates`,
  );
  expect({ missed, duplicates: ledger.duplicates, losses: ledger.losses }).toEqual({
    missed: 0,
    duplicates: 0,
    losses: [],
  });
  expect(ledger.strandedAt).toEqual([]);
  expect(ledger.recoveries).toBe(moves);
  expect(moves).toBeGreaterThan(clients.length / 4);
  expect(burst).toBeLessThanOrEqual(Math.ceil(clients.length * MAX_SHARE));
  // The load was one: the machine kept half of its pace at least.
  expect(perSecond).toBeGreaterThan((CHANNELS.length * PER_CHANNEL_AND_SECOND) / 2);
}

/** A tier of which `running` are there from the start; for the `later` ones there is a place. */
async function startTier(
  running: readonly string[],
  later: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<BalancedTier> {
  const tier = await startBalancedTier([...running, ...later], env);
  for (const name of running) {
    await tier.start(name);
    await tier.announce(name);
  }
  return tier;
}

async function startClients({ balancer }: BalancedTier) {
  const ledger = createLedger();
  const url = `ws://127.0.0.1:${balancer.port}/ws`;
  const clients: ResumingClient[] = [];
  while (clients.length < CLIENTS) {
    const size = Math.min(RAMP, CLIENTS - clients.length);
    const batch = Array.from({ length: size }, (_, i) => {
      const channel = CHANNELS[(clients.length + i) % CHANNELS.length] as string;
      // A node that is full refuses; the next try may get another.
      return eventually(() => ResumingClient.start(url, channel, ledger), { deadlineMs: 20_000 });
    });
    clients.push(...(await Promise.all(batch)));
  }
  return { clients, ledger };
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

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
