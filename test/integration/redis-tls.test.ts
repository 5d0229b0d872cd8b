import { findFreePort, findRedisServer, startRedisServer } from '@tradewind/dev';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../support/client.ts';
import { bringOpenssl } from '../support/faults/tls-terminator.ts';
import {
  type CertificateFiles,
  createTestAuthority,
  type TestAuthority,
} from '../support/identity/certificates.ts';
import { startEdge, startIngest } from '../support/service.ts';
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
