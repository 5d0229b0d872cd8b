import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { ServiceProcess } from '@tradewind/dev';
import type { Readiness } from '@tradewind/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import {
  HIDDEN_DESCRIPTOR_LIMIT,
  NO_CONNECTION_LEAVES,
  preloaded,
  REFUSED_BODIES_ARE_READ,
  withDescriptors,
} from '../../support/faults/fault-preload.ts';
import { startRedis, type TestRedis } from '../../support/redis/redis.ts';
import {
  startEdge,
  startIngest,
  type TestEdge,
  untilLinked,
} from '../../support/services/service.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

/** How soon readiness must be correct, in ms. */
const READINESS_MS = 1_000 + BUSY_MACHINE_MS;

const WORKERS = ['1', '3'] as const;

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

describe.each(WORKERS)('an edge with EDGE_WORKERS=%s', (workers) => {
  it('admits clients while idle connections hold every place of connections that are no WebSockets', async () => {
    const PLAIN = 30;
    await using tier = await startTier({
      edges: 1,
      env: {
        EDGE_WORKERS: workers,
        WS_MAX_CONNECTIONS: '10',
        HTTP_MAX_CONNECTIONS: String(PLAIN),
        HTTP_KEEP_ALIVE_SECONDS: '620',
      },
    });
    const edge = tier.edges[0]!;
    await using first = await TestClient.connect(edge.wsUrl, { channels: ['a'] });
    await openIdle(edge.port, 10 * PLAIN);
    await openIdle(adminPortOf(edge), 200);
    await using second = await TestClient.connect(edge.wsUrl, { channels: ['a'] });
    expect(await readinessOfBoth(edge)).toEqual([true, true]);
    await tier.backend.publish('a', '1');
    for (const client of [first, second]) {
      await client.waitFor(() => client.publications.length === 1);
    }
    const closed = (await edge.metrics()).sum('tradewind_edge_http_connections_closed_total');
    expect(closed).toBeGreaterThan(8 * PLAIN);

    const others = await Promise.all(
      Array.from({ length: 8 }, () => TestClient.connect(edge.wsUrl)),
    );
    await eventually(async () => String(await readinessOfBoth(edge)) === 'false,false', {
      deadlineMs: READINESS_MS,
    });
    await expect(TestClient.connect(edge.wsUrl)).rejects.toThrow('503');
    await others[0]!.close();
    await eventually(async () => String(await readinessOfBoth(edge)) === 'true,true', {
      deadlineMs: READINESS_MS,
    });
    for (const client of others) await client.close();
  });
});

it('(control) idle connections keep clients out if none of them is closed', async () => {
  await using tier = await startTier({
    edges: 1,
    env: {
      ...preloaded(NO_CONNECTION_LEAVES),
      EDGE_WORKERS: '1',
      HTTP_MAX_CONNECTIONS: '30',
      HTTP_KEEP_ALIVE_SECONDS: '620',
    },
  });
  const edge = tier.edges[0]!;
  await openIdle(edge.port, 60);
  await expect(TestClient.connect(edge.wsUrl)).rejects.toThrow();
});

describe.runIf(process.platform === 'linux').each(WORKERS)(
  'with few descriptors and EDGE_WORKERS=%s',
  (workers) => {
    it('an edge holds fewer clients, reports it, and keeps its links and its admin port', async () => {
      await using tier = await startTier({
        edges: 1,
        env: { ...preloaded(withDescriptors(120)), EDGE_WORKERS: workers },
      });
      const edge = tier.edges[0]!;
      expect(edge.output.some((line) => line.includes('"descriptors_short"'))).toBe(true);
      const clients = [await TestClient.connect(edge.wsUrl, { channels: ['a'] })];
      await expect(fill(edge, clients)).rejects.toThrow('503');
      expect(clients.length).toBeGreaterThan(20);
      await eventually(async () => String(await readinessOfBoth(edge)) === 'false,false', {
        deadlineMs: READINESS_MS,
      });
      const knocking = setInterval(() => void open(edge.port), 2);
      try {
        await tier.backend.client('KILL', 'TYPE', 'PUBSUB');
        await clients[0]!.waitFor(() => clients[0]!.controlsOf('restored').length > 0);
        await tier.backend.publish('a', '1');
        await clients[0]!.waitFor(() => clients[0]!.publications.length === 1);
      } finally {
        clearInterval(knocking);
      }
      for (const client of clients) await client.close();
    });
  },
);

it.runIf(process.platform === 'linux')(
  '(control) an edge that does not know its limit runs out of descriptors, and only its log shows it',
  async () => {
    await using tier = await startTier({
      edges: 1,
      env: {
        ...preloaded(`${withDescriptors(120)}\n${HIDDEN_DESCRIPTOR_LIMIT}`),
        EDGE_WORKERS: '1',
      },
    });
    const edge = tier.edges[0]!;
    const clients: TestClient[] = [];
    await expect(fill(edge, clients)).rejects.toThrow(/socket hang up|ECONNRESET/);
    await edge.waitForLine((line) => line.includes('"descriptors_exhausted"') || undefined, 20_000);
    await expect(fetch(`${edge.adminUrl}/readyz`)).rejects.toThrow();
    for (const client of clients) await client.close();
  },
);

describe('bodies that nobody requested', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => {
    await redis?.[Symbol.asyncDispose]();
  });

  /** More than the kernels of both sides can buffer. */
  const MOST_TAKEN_BYTES = 16e6;

  async function takenOf(port: number, line: string): Promise<number> {
    const socket = open(port);
    socket.write(`${line} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n`);
    await once(socket, 'data');
    const chunk = Buffer.alloc(1 << 20);
    socket.resume();
    return await new Promise((resolve) => {
      function send(): void {
        while (!socket.destroyed && socket.write(chunk));
        if (socket.bytesWritten > 4 * MOST_TAKEN_BYTES) resolve(Number.POSITIVE_INFINITY);
      }
      socket.on('drain', send);
      socket.once('close', () => resolve(socket.bytesWritten));
      send();
    });
  }

  it('end their connections', async () => {
    await using ingest = await startIngest({ REDIS_URL: redis.url, INGEST_TOKENS: 'a-token' });
    await using edge = await startEdge({ REDIS_URL: redis.url, EDGE_WORKERS: '1' });
    for (const [port, line] of [
      [ingest.port, 'POST /v1/publish'],
      [ingest.port, 'POST /nothing'],
      [ingest.port, 'POST /healthz'],
      [adminPortOf(ingest), 'GET /metrics'],
      [edge.port, 'POST /ws'],
      [edge.port, 'GET /healthz'],
      [adminPortOf(edge), 'POST /readyz'],
    ] as const) {
      expect(await takenOf(port, line), line).toBeLessThan(MOST_TAKEN_BYTES);
    }
  });

  it('(control) are read to their ends if connections stay open', async () => {
    await using edge = await startEdge({
      ...preloaded(REFUSED_BODIES_ARE_READ),
      REDIS_URL: redis.url,
      EDGE_WORKERS: '1',
    });
    expect(await takenOf(edge.port, 'POST /nothing')).toBe(Number.POSITIVE_INFINITY);
  });

  const IN_FLIGHT = 8;

  async function othersPublishWhileOneIsSlow(env: Readonly<Record<string, string>>) {
    await using ingest = await startIngest({
      REDIS_URL: redis.url,
      INGEST_TOKENS: 'one,two',
      INGEST_MAX_IN_FLIGHT: String(IN_FLIGHT),
      ...env,
    });
    await untilLinked(ingest);
    const slow = Array.from({ length: IN_FLIGHT }, () => open(ingest.port));
    const ends = slow.map((socket) => once(socket, 'data'));
    for (const socket of slow) {
      socket.write(
        'POST /v1/publish HTTP/1.1\r\nhost: x\r\nauthorization: Bearer one\r\ncontent-length: 1000\r\n\r\n[',
      );
    }
    const metric = 'tradewind_ingest_requests_in_flight';
    await eventually(async () => ((await ingest.metrics()).sum(metric) ?? 0) >= IN_FLIGHT / 2);
    const { status } = await fetch(`${ingest.url}/v1/channels/a`, {
      method: 'POST',
      body: '1',
      headers: { authorization: 'Bearer two' },
    });
    const answers = (await Promise.all(ends)).map(([bytes]: unknown[]) =>
      String(bytes).slice(9, 12),
    );
    return { status, answers: [...new Set(answers)].toSorted() };
  }

  it('that arrive slowly, of one token, keep no other token from publishing, and end', async () => {
    const { status, answers } = await othersPublishWhileOneIsSlow({});
    expect(status).toBe(200);
    expect(answers).toEqual(['408', '429']);
  });

  it('(control) keep it from publishing if one token may have every place', async () => {
    const env = { INGEST_MAX_IN_FLIGHT_PER_TOKEN: String(IN_FLIGHT) };
    const { status } = await othersPublishWhileOneIsSlow(env);
    expect(status).toBe(429);
  });
});

function open(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  return socket;
}

/** Opens connections that have been answered, unless they were refused, and then stay idle. */
async function openIdle(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const socket = open(port);
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    await Promise.race([once(socket, 'data'), once(socket, 'close')]).catch(() => undefined);
    socket.resume();
  }
}

/** Connects clients until one is refused, and rejects with the reason. */
async function fill(edge: TestEdge, clients: TestClient[]): Promise<never> {
  for (;;) clients.push(await TestClient.connect(edge.wsUrl));
}

async function readinessOfBoth(edge: TestEdge): Promise<readonly boolean[]> {
  const urls = [`${edge.url}/readyz`, `${edge.adminUrl}/readyz`];
  return await Promise.all(
    urls.map(async (url) => {
      const response = await fetch(url, { headers: { connection: 'close' } });
      return ((await response.json()) as Readiness).ready;
    }),
  );
}

function adminPortOf(service: ServiceProcess): number {
  return Number(new URL(service.adminUrl).port);
}
