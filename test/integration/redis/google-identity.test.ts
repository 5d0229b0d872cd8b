import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RedisNode, startRedisNode } from '../../support/redis/redis-topology.ts';
import { startIngest, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

/** How long a token lives, in s: the stand-in gives out another one each time it is asked. */
const TOKEN_SECONDS = 4;

let redis: RedisNode;
let metadata: Server;
/** The passwords that Redis takes: as Google's takes each token that has not ended. */
let given: string[];
let isAway: boolean;

beforeEach(async () => {
  redis = await startRedisNode();
  given = [];
  isAway = false;
  const { control } = redis;
  await control.call('ACL', 'SETUSER', 'admin', 'on', '>admin', '~*', '&*', '+@all');
  await control.call('AUTH', 'admin', 'admin');
  await control.call('ACL', 'SETUSER', 'default', 'resetpass', '>nobody-knows');
  metadata = createServer(async (_request, response) => {
    if (isAway) {
      response.writeHead(503).end();
      return;
    }
    const token = `token-${given.length + 1}`;
    given.push(token);
    await control.call('ACL', 'SETUSER', 'default', `>${token}`);
    response.end(JSON.stringify({ access_token: token, expires_in: TOKEN_SECONDS }));
  });
  await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  metadata.close();
  await redis[Symbol.asyncDispose]();
});

/** The environment of a service that is who its VM is. */
function environment(): Record<string, string> {
  const { port } = metadata.address() as AddressInfo;
  return {
    ...{ REDIS_URL: redis.url, REDIS_AUTH: 'google', GCE_METADATA_HOST: `127.0.0.1:${port}` },
    LOG_LEVEL: 'debug',
  };
}

interface Connection {
  readonly id: string;
  readonly name: string;
}

async function connectionsOf(name: string): Promise<readonly Connection[]> {
  const list = String(await redis.control.call('CLIENT', 'LIST'));
  return [...list.matchAll(/^id=(\d+) .*? name=(\S*)/gm)]
    .map(([, id = '', found = '']) => ({ id, name: found }))
    .filter((connection) => connection.name.startsWith(name));
}

async function authCalls(): Promise<number> {
  return (await redis.commandCalls()).get('auth') ?? 0;
}

it('says who it is by the token of its VM, and says it again on the live link before the token ends', async () => {
  await using ingest = await startIngest(environment());
  await untilLinked(ingest);
  const [before] = await connectionsOf('tradewind-ingest');
  const callsBefore = await authCalls();
  const tokens = given.length;
  await eventually(() => given.length >= tokens + 2);
  await eventually(async () => (await authCalls()) >= callsBefore + 2);
  const [after] = await connectionsOf('tradewind-ingest');
  expect(after, 'the same connection').toEqual(before);

  // Old tokens are worth nothing any more, as after an hour. A new connection has the present one.
  await redis.control.call('ACL', 'SETUSER', 'default', 'resetpass', `>${given.at(-1)}`);
  await redis.control.call('CLIENT', 'KILL', 'ID', after!.id);
  await eventually(async () => {
    const [next] = await connectionsOf('tradewind-ingest');
    return next !== undefined && next.id !== after!.id;
  });
  await untilLinked(ingest);
  const url = `${ingest.url}/v1/channels/BTC.trade`;
  expect((await fetch(url, { method: 'POST', body: '1' })).status).toBe(200);
});

it('keeps using its token while it gets no other, and comes back when it gets one', async () => {
  await using ingest = await startIngest(environment());
  await untilLinked(ingest);
  isAway = true;
  const [link] = await connectionsOf('tradewind-ingest');
  await eventually(() => ingest.output.join().includes('redis_token_not_renewed'));
  // The link lives on: Redis asks nobody who is there already.
  expect(await connectionsOf('tradewind-ingest')).toEqual([link]);
  const url = `${ingest.url}/v1/channels/BTC.trade`;
  expect((await fetch(url, { method: 'POST', body: '1' })).status).toBe(200);
  // The control: without a token nobody gets in.
  await redis.control.call('ACL', 'SETUSER', 'default', 'resetpass');
  await redis.control.call('CLIENT', 'KILL', 'ID', link!.id);
  await eventually(async () => {
    const response = await fetch(`${ingest.adminUrl}/readyz`);
    return ((await response.json()) as { degraded: boolean }).degraded;
  });
  isAway = false;
  await untilLinked(ingest);
  expect(given.join(), 'no token is in the log').not.toBe('');
  for (const token of given) expect(ingest.output.join()).not.toContain(token);
});
