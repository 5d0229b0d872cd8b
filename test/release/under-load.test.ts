import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort, type ServiceProcess } from '@tradewind/dev';
import { AdminClient, type Fleet, rebalanceFleet, rollFleet } from '@tradewind/roll';
import { expect, it } from 'vitest';
import { startRedis } from '../support/redis.ts';
import {
  createLedger,
  mostInOneSecond,
  ResumingClient,
  type ResumingClientLedger,
} from '../support/resuming-client.ts';
import { startEdge, startIngest, type TestEdge, untilLinked } from '../support/service.ts';
import { TcpBalancer } from '../support/tcp-balancer.ts';
import { eventually } from '../support/wait.ts';

const CLIENTS = Number(process.env.RELEASE_TEST_CLIENTS ?? 2_000);
const CHANNEL = 'BTC.trade';
const PUBLISH_EVERY_MS = 200;

/** Clients that begin to connect at once, when the load starts. */
const RAMP = 100;

/** The balancer notices after two checks, 5 s apart; then clients are spread over the rest. */
const DRAIN = { DRAIN_SECONDS: '30', DRAIN_ACCEPT_SECONDS: '12' };

/** Of all clients, the share that may be moved in any second. */
const MAX_SHARE = 0.1;

/** How far a node may be from its share of clients when the tier has settled. */
const TOLERANCE = 0.1;
const SETTLED_WITHIN_MS = 120_000;

it('rolls three edges under load: nobody misses anything, nothing comes twice, nobody is cut off', async () => {
  await using tier = await startBalancedTier(3);
  const { clients, ledger } = await startClients(tier.balancer);
  const load = publishInto(tier.ingest);
  const fleet: Fleet = {
    list: async () => tier.edges.map(({ name, edge }) => ({ name, adminUrl: edge.adminUrl })),
    replace: (node) => tier.startAgain(node.name),
    remove: async () => {},
  };
  const before = new Set(tier.edges.map(({ edge }) => edge.pid));
  await rollFleet(
    fleet,
    new AdminClient(undefined),
    {
      parallel: 1,
      drainTimeoutMs: 60_000,
      readyTimeoutMs: 30_000,
      healthWindowMs: 11_000,
      pollMs: 500,
    },
    (line) => console.log(line),
  );
  expect(tier.edges.filter(({ edge }) => before.has(edge.pid))).toEqual([]);
  await expectNothingMissed(clients, await load.stop(), ledger);
  for (const client of clients) client.stop();
});

it('scales out under load from two edges to three, each with its share within two minutes', async () => {
  await using tier = await startBalancedTier(2);
  const { clients, ledger } = await startClients(tier.balancer);
  const load = publishInto(tier.ingest);
  const startedAt = performance.now();
  await tier.startAnother('edge-3');
  const fleet: Fleet = {
    list: async () => tier.edges.map(({ name, edge }) => ({ name, adminUrl: edge.adminUrl })),
    replace: async () => {},
    remove: async () => {},
  };
  const settings = {
    tolerance: TOLERANCE,
    overSeconds: 30,
    maxSharePerSecond: MAX_SHARE / 2,
    maxRounds: 3,
  };
  const settled = await rebalanceFleet(fleet, new AdminClient(undefined), settings, (line) =>
    console.log(line),
  );
  expect(performance.now() - startedAt).toBeLessThan(SETTLED_WITHIN_MS);
  const share = CLIENTS / 3;
  for (const connections of settled) {
    expect(Math.abs(connections - share)).toBeLessThanOrEqual(share * TOLERANCE);
  }
  await expectNothingMissed(clients, await load.stop(), ledger);
  for (const client of clients) client.stop();
});

/** Waits until everyone has the last publication, then looks for holes, duplicates and bursts. */
async function expectNothingMissed(
  clients: readonly ResumingClient[],
  published: number,
  ledger: ResumingClientLedger,
): Promise<void> {
  await eventually(() => clients.every(({ last }) => last === published), { deadlineMs: 10_000 });
  let missed = 0;
  for (const { received } of clients) {
    for (let n = 1; n <= published; n += 1) if (received[n] === 0) missed += 1;
  }
  const burst = mostInOneSecond(ledger.movedAt);
  console.log(
    `${published} publications, ${clients.length} clients, ${ledger.movedAt.length} moves, ` +
      `at most ${burst} in a second, ${ledger.strandedAt.length} cut off, resumed with since: ${clients[0]?.resumes}`,
  );
  expect({ missed, duplicates: ledger.duplicates, losses: ledger.losses }).toEqual({
    missed: 0,
    duplicates: 0,
    losses: [],
  });
  expect(ledger.strandedAt).toEqual([]);
  expect(ledger.movedAt.length).toBeGreaterThan(clients.length / 4);
  expect(burst).toBeLessThanOrEqual(Math.ceil(clients.length * MAX_SHARE));
}

interface NamedEdge {
  readonly name: string;
  readonly edge: TestEdge;
}

/** Redis, an ingest and edges behind a balancer. */
async function startBalancedTier(count: number) {
  const owned = new AsyncDisposableStack();
  try {
    return await startBalancedTierIn(owned, count);
  } catch (error) {
    await owned.disposeAsync();
    throw error;
  }
}

async function startBalancedTierIn(owned: AsyncDisposableStack, count: number) {
  const redis = owned.use(await startRedis());
  const ingest = owned.use(await startIngest({ REDIS_URL: redis.url }));
  const edges: NamedEdge[] = [];

  async function start(name: string, ports: { PORT: string; ADMIN_PORT: string }) {
    const settings = { REDIS_URL: redis.url, EDGE_NODE_ID: name, EDGE_WORKERS: '1' };
    const edge = await startEdge({ ...settings, ...DRAIN, ...ports });
    // Nobody waits for the drain of a test that is over.
    owned.defer(async () => void (await edge.stop(0)));
    await untilLinked(edge);
    return { name, edge };
  }

  async function freePorts() {
    return { PORT: String(await findFreePort()), ADMIN_PORT: String(await findFreePort()) };
  }

  function backendOf({ name, edge }: NamedEdge) {
    return { name, host: '127.0.0.1', port: edge.port };
  }

  for (let i = 1; i <= count; i += 1) edges.push(await start(`edge-${i}`, await freePorts()));
  await untilLinked(ingest);
  const balancer = owned.use(await TcpBalancer.start(edges.map(backendOf)));
  return {
    ingest,
    balancer,
    edges,
    async startAgain(name: string): Promise<void> {
      const at = edges.findIndex((each) => each.name === name);
      const { edge } = edges[at] as NamedEdge;
      expect((await edge.exited).code).toBe(0);
      const ports = { PORT: String(edge.port), ADMIN_PORT: String(edge.adminPort) };
      edges[at] = await start(name, ports);
    },
    async startAnother(name: string): Promise<void> {
      const added = await start(name, await freePorts());
      edges.push(added);
      await balancer.add(backendOf(added));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startClients(balancer: TcpBalancer) {
  const ledger = createLedger();
  const url = `ws://127.0.0.1:${balancer.port}/ws`;
  const clients: ResumingClient[] = [];
  while (clients.length < CLIENTS) {
    const size = Math.min(RAMP, CLIENTS - clients.length);
    const batch = Array.from({ length: size }, () => ResumingClient.start(url, CHANNEL, ledger));
    clients.push(...(await Promise.all(batch)));
  }
  return { clients, ledger };
}

/** Publishes `{"n":1}`, `{"n":2}`, … until it is stopped, and tells how many there were. */
function publishInto(ingest: ServiceProcess) {
  let n = 0;
  let running = true;
  const done = (async () => {
    while (running) {
      n += 1;
      const answer = await fetch(`${ingest.url}/v1/channels/${CHANNEL}`, {
        method: 'POST',
        body: JSON.stringify({ n }),
      });
      if (!answer.ok) throw new Error(`ingest answered ${answer.status}`);
      await sleep(PUBLISH_EVERY_MS);
    }
  })();
  return {
    async stop(): Promise<number> {
      running = false;
      await done;
      return n;
    },
  };
}
