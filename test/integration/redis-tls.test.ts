import { findFreePort, findRedisServer, startRedisServer } from '@tradewind/dev';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../support/client.ts';
import { bringOpenssl } from '../support/faults/tls-terminator.ts';
import {
  type CertificateFiles,
  createTestAuthority,
  type TestAuthority,
} from '../support/identity/certificates.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis/redis-cluster.ts';
import { startEdge, startIngest, untilLinked } from '../support/service.ts';
import { eventually } from '../support/wait.ts';

const hasOpenssl = await bringOpenssl();
const program = await findRedisServer();
if (!hasOpenssl || program === undefined) {
  console.log('SKIPPED Redis over TLS: it needs openssl and a redis-server');
}

/** The form of Memorystore's certificates: the address as common name, and no alternative name. */
const ADDRESS = '127.0.0.1';

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

/** Connections of services that came in by the ports without TLS. */
async function plainConnections({ nodes }: RedisCluster): Promise<readonly string[]> {
  const lists = await Promise.all(
    nodes.map(async ({ control, port }) => {
      const clients = String(await control.client('LIST')).split('\n');
      return clients.filter((line) => line.includes(`laddr=${ADDRESS}:${port} `));
    }),
  );
  return lists.flat().filter((line) => line.includes(' name=tradewind'));
}

it.skipIf(!hasOpenssl || program === undefined)(
  'edges and ingest speak TLS with every node of a Cluster, also with one that a MOVED names',
  async () => {
    const { certificateFile, keyFile } = await authority.issue(ADDRESS);
    const addresses: string[] = [];
    await using cluster = await startRedisCluster({
      async nodeArgs() {
        const tlsPort = String(await findFreePort());
        addresses.push(`${ADDRESS}:${tlsPort}`);
        return [
          ...['--tls-port', tlsPort, '--tls-auth-clients', 'no'],
          // Redis 7.0 tells no TLS port of other nodes without it.
          ...['--tls-cluster', 'yes', '--tls-replication', 'yes'],
          ...['--tls-cert-file', certificateFile, '--tls-key-file', keyFile],
          ...['--tls-ca-cert-file', authority.certificateFile],
        ];
      },
    });
    const env = { ...settingsFor(`rediss://${addresses.join()}`), REDIS_MODE: 'cluster' };
    await using edge = await startEdge(env);
    await using ingest = await startIngest(env);
    for (const service of [edge, ingest]) await untilLinked(service);
    const masters = cluster.nodes.slice(0, 3);
    const channels = await Promise.all(
      masters.map(async (node) => (await cluster.channelsOn(node, 1, 'tls'))[0]!),
    );
    await using client = await TestClient.connect(edge.wsUrl, { channels });
    const publish = async (channel: string, body: string) => {
      const url = `${ingest.url}/v1/channels/${channel}`;
      expect((await fetch(url, { method: 'POST', body })).status).toBe(200);
    };
    const [moving = '', ...others] = channels;
    for (const channel of others) await publish(channel, '1');
    await client.waitFor(({ publications }) => publications.length === 2);
    // It has no keys yet: MIGRATE would need the TLS port of its target.
    await cluster.moveSlot(await cluster.slotOf(moving), masters[1]!);
    await publish(moving, '1');
    await client.waitFor(({ publications }) => publications.length === 3);
    expect(await plainConnections(cluster)).toEqual([]);
    await using unencrypted = await startIngest({ REDIS_MODE: 'cluster', REDIS_URL: cluster.url });
    await untilLinked(unencrypted);
    expect((await plainConnections(cluster)).length, 'control').toBeGreaterThan(0);
  },
);
