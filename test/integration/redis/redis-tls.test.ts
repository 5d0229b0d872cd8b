import { findFreePort, findRedisServer, startRedisServer } from '@tradewind/dev';
import { createPublisher } from '@tradewind/publisher';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { bringOpenssl } from '../../support/faults/tls-terminator.ts';
import {
  type CertificateFiles,
  createTestAuthority,
  type TestAuthority,
} from '../../support/identity/certificates.ts';
import {
  type ClusterNode,
  type RedisCluster,
  startRedisCluster,
} from '../../support/redis/redis-cluster.ts';
import { startEdge, startIngest, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

const hasOpenssl = await bringOpenssl();
const program = await findRedisServer();
if (!hasOpenssl || program === undefined) {
  console.log('SKIPPED Redis over TLS: it needs openssl and a redis-server');
}

/** The form of Memorystore's certificates: the address as common name, and no alternative name. */
const ADDRESS = '127.0.0.1';

/** From the death of a master to publications on its shard again, in ms: the Cluster's own time is most of it. */
const FAILOVER_MS = 60_000;

/** How long a node must be silent until a replica takes over, in ms: a busy machine, which encrypts, keeps one silent for longer than two seconds. */
const NODE_TIMEOUT_MS = 10_000;

/** Publications to each shard before a master dies, while none is there, and after it. */
const BEFORE = 20;
const MEANWHILE = 10;

let authority: TestAuthority;
let other: TestAuthority;

beforeAll(async () => {
  if (!hasOpenssl) return;
  authority = await createTestAuthority();
  other = await createTestAuthority();
});

afterAll(async () => {
  await authority?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
});

function settingsFor(url: string) {
  const shortDrain = { DRAIN_SECONDS: '3', DRAIN_ACCEPT_SECONDS: '0' };
  return { REDIS_URL: url, REDIS_CA_FILE: authority.certificateFile, ...shortDrain };
}

async function startTlsRedis({ certificateFile, keyFile }: CertificateFiles) {
  const tlsPort = await findFreePort();
  const server = await startRedisServer({
    program: program!,
    port: 0,
    args: [
      ...['--tls-port', String(tlsPort), '--tls-auth-clients', 'no'],
      ...['--tls-cert-file', certificateFile, '--tls-key-file', keyFile],
      ...['--tls-ca-cert-file', authority.certificateFile],
    ],
  });
  return {
    url: `rediss://${ADDRESS}:${tlsPort}`,
    async [Symbol.asyncDispose]() {
      await server.stop(0);
    },
  };
}

it.skipIf(!hasOpenssl || program === undefined)(
  'a trade goes from ingest to a client over a Redis whose certificate has its address as common name',
  async () => {
    await using redis = await startTlsRedis(await authority.issue(ADDRESS));
    const env = settingsFor(redis.url);
    await using edge = await startEdge(env);
    await using ingest = await startIngest(env);
    await eventually(async () => (await fetch(`${ingest.url}/readyz`)).ok);
    const client = await TestClient.connect(`ws://127.0.0.1:${edge.port}/ws`);
    await eventually(async () => (await client.subscribe(['BTC.trade'])).rejected.length === 0);
    const url = `${ingest.url}/v1/channels/BTC.trade`;
    expect((await fetch(url, { method: 'POST', body: '{"price":"1"}' })).status).toBe(200);
    await client.waitFor(() => client.publications.length === 1);
    await client.close();
  },
);

it.skipIf(!hasOpenssl || program === undefined).each([
  ['another address as common name', async () => ({ issued: await authority.issue('127.0.0.2') })],
  ['a host as common name', async () => ({ issued: await authority.issue('localhost') })],
  ['another authority', async () => ({ issued: await other.issue(ADDRESS) })],
])('no process links to a Redis whose certificate has %s', async (_, issue) => {
  const { issued } = await issue();
  await using redis = await startTlsRedis(issued);
  const env = settingsFor(redis.url);
  await using edge = await startEdge(env);
  await using ingest = await startIngest({ ...env, INGEST_MAX_AGE_MS: '300' });
  for (const { output } of [edge, ingest]) {
    await eventually(() =>
      output.some((line) => /ALTNAME_INVALID|altnames|certificate/.test(line)),
    );
  }
  const refused = await fetch(`${ingest.url}/v1/channels/BTC.trade`, { method: 'POST', body: '1' });
  expect(refused.status).toBe(503);
  const client = await TestClient.connect(`ws://127.0.0.1:${edge.port}/ws`);
  expect((await client.subscribe(['BTC.trade'])).rejected).toMatchObject([{ code: 'unavailable' }]);
  await client.close();
});

function isRunning({ control }: ClusterNode): boolean {
  return control.status === 'ready';
}

/** Connections of services that came in by the ports without TLS. */
async function plainConnections({ nodes }: RedisCluster): Promise<readonly string[]> {
  const lists = await Promise.all(
    nodes.filter(isRunning).map(async ({ control, port }) => {
      const clients = String(await control.client('LIST')).split('\n');
      return clients.filter((line) => line.includes(`laddr=${ADDRESS}:${port} `));
    }),
  );
  return lists.flat().filter((line) => line.includes(' name=tradewind'));
}

describe.skipIf(!hasOpenssl || program === undefined)('a Cluster over TLS', () => {
  let cluster: RedisCluster;
  let env: Readonly<Record<string, string>>;
  const addresses: string[] = [];

  beforeAll(async () => {
    const { certificateFile, keyFile } = await authority.issue(ADDRESS);
    cluster = await startRedisCluster({
      nodeTimeoutMs: NODE_TIMEOUT_MS,
      async nodeArgs() {
        const tlsPort = String(await findFreePort());
        addresses.push(`${ADDRESS}:${tlsPort}`);
        return [
          ...['--tls-port', tlsPort, '--tls-auth-clients', 'no'],
          // Redis 7.0 tells no TLS port of other nodes without it.
          ...['--tls-cluster', 'yes', '--tls-replication', 'yes'],
          ...['--tls-cert-file', certificateFile, '--tls-key-file', keyFile],
          ...['--tls-ca-cert-file', authority.certificateFile],
          // Or all masters refuse everything while one is away.
          ...['--cluster-require-full-coverage', 'no'],
        ];
      },
    });
    env = { ...settingsFor(`rediss://${addresses.join()}`), REDIS_MODE: 'cluster' };
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  /** A channel on each shard. */
  const channelsOfAll = async (prefix: string): Promise<readonly string[]> =>
    await Promise.all(
      cluster.nodes
        .slice(0, 3)
        .map(async (node) => (await cluster.channelsOn(node, 1, prefix))[0]!),
    );

  it('edges and ingest speak TLS with every node, also with one that a MOVED names', async () => {
    await using edge = await startEdge(env);
    await using ingest = await startIngest(env);
    for (const service of [edge, ingest]) await untilLinked(service);
    const channels = await channelsOfAll('tls');
    await using client = await TestClient.connect(edge.wsUrl, { channels });
    const publish = async (channel: string, body: string) => {
      const url = `${ingest.url}/v1/channels/${channel}`;
      expect((await fetch(url, { method: 'POST', body })).status).toBe(200);
    };
    const [moving = '', ...others] = channels;
    for (const channel of others) await publish(channel, '1');
    await client.waitFor(({ publications }) => publications.length === 2);
    // It has no keys yet: MIGRATE would need the TLS port of its target.
    await cluster.moveSlot(await cluster.slotOf(moving), cluster.nodes[1]!);
    await publish(moving, '1');
    await client.waitFor(({ publications }) => publications.length === 3);
    expect(await plainConnections(cluster)).toEqual([]);
    await using unencrypted = await startIngest({ REDIS_MODE: 'cluster', REDIS_URL: cluster.url });
    await untilLinked(unencrypted);
    expect((await plainConnections(cluster)).length, 'control').toBeGreaterThan(0);
  });

  it('edges, ingest and a library follow a replica that takes over, by TLS; each publication that was accepted arrives once', {
    timeout: 3 * FAILOVER_MS,
  }, async () => {
    await using edge = await startEdge(env);
    await using ingest = await startIngest({ ...env, INGEST_MAX_AGE_MS: String(FAILOVER_MS) });
    for (const service of [edge, ingest]) await untilLinked(service);
    const backend = new Cluster(
      addresses.map((address) => ({ host: ADDRESS, port: Number(address.split(':')[1]) })),
      {
        redisOptions: { tls: { ca: authority.pem, checkServerIdentity: () => undefined } },
        ...{ slotsRefreshInterval: 1_000, retryDelayOnFailover: 100, retryDelayOnClusterDown: 100 },
      },
    );
    backend.on('error', () => {});
    try {
      const library = createPublisher(backend, { deadlineMs: FAILOVER_MS });
      const channels = await channelsOfAll('failover');
      await using client = await TestClient.connect(edge.wsUrl, { channels });
      /** What was accepted, by channel, in the order of its offsets. */
      const accepted = new Map<string, Map<number, string>>();
      const note = (channel: string, offset: number, data: string): void => {
        const all = accepted.get(channel) ?? new Map<number, string>();
        expect(all.has(offset), 'an offset is given out once').toBe(false);
        accepted.set(channel, all.set(offset, data));
      };
      const publish = async (channel: string, number: number): Promise<void> => {
        const byIngest = `"${channel} ingest ${number}"`;
        const response = await fetch(`${ingest.url}/v1/channels/${channel}`, {
          ...{ method: 'POST', body: byIngest },
        });
        expect(response.status).toBe(200);
        note(channel, ((await response.json()) as { offset: number }).offset, byIngest);
        const byLibrary = `${channel} library ${number}`;
        const key = `${channel}-${number}`;
        const result = await library.publish(channel, byLibrary, { key });
        note(channel, result.offset, JSON.stringify(byLibrary));
      };
      for (let n = 0; n < BEFORE; n += 1)
        await Promise.all(channels.map((channel) => publish(channel, n)));

      const [failing = '', ...others] = channels;
      const master = await cluster.masterOf(failing);
      // Replication is asynchronous: what a master accepted alone dies with it, and is told then. Here nothing does.
      await master.control.wait(1, 5_000);
      await master.kill();
      const onOthers = async (): Promise<void> => {
        for (let n = BEFORE; n < BEFORE + MEANWHILE; n += 1)
          await Promise.all(others.map((channel) => publish(channel, n)));
      };
      const first = publish(failing, BEFORE);
      await onOthers();
      await first;
      expect((await cluster.masterOf(failing)).id, 'the control: another node').not.toBe(master.id);
      for (let n = BEFORE + 1; n < BEFORE + MEANWHILE; n += 1) await publish(failing, n);

      const count = 2 * (BEFORE + MEANWHILE);
      for (const channel of channels) {
        await client.waitFor((seen) => seen.publicationsOn(channel).length >= count, FAILOVER_MS);
        const received = client.publicationsOn(channel).map(({ offset, data }) => [offset, data]);
        const sent = [...accepted.get(channel)!].toSorted(([one], [other]) => one - other);
        expect(received).toEqual(sent);
      }
      expect(client.controlsOf('gap')).toEqual([]);
      for (const { channels: cutOff } of client.controlsOf('degraded'))
        expect(cutOff).toEqual([failing]);
      for (const service of [edge, ingest]) await untilLinked(service);
      expect(await plainConnections(cluster)).toEqual([]);
    } finally {
      backend.disconnect();
    }
  });
});
