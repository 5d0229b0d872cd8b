import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../clients/client.ts';
import { startRedis, type TestRedis } from '../redis/redis.ts';
import { startEdge, startIngest, untilLinked } from './service.ts';

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await redis.stop();
});

describe('startEdge, startIngest and TestClient', () => {
  it('carry a publication from ingest to a client, byte for byte', async () => {
    await using edge = await startEdge({ REDIS_URL: redis.url });
    await using ingest = await startIngest({ REDIS_URL: redis.url });
    await Promise.all([edge, ingest].map(untilLinked));
    await using client = await TestClient.connect(edge.wsUrl, { channels: ['BTC.trade'] });
    const body = '{ "price": 1.10, "text": "\\u00e9 é" }';
    const url = `${ingest.url}/v1/channels/BTC.trade`;
    expect((await fetch(url, { method: 'POST', body })).status).toBe(200);
    await client.waitFor(({ publications }) => publications.length === 1);
    expect(client.publications[0]).toMatchObject({ seq: 1, channel: 'BTC.trade', data: body });
    expect((await edge.metrics()).sum('tradewind_edge_connections')).toBe(1);
  });

  it('end cleanly on request', async () => {
    const edge = await startEdge({ REDIS_URL: redis.url });
    expect(await edge.stop()).toEqual({ code: 0, signal: null });
  });

  it('reject with the reason if the service does not start', async () => {
    await expect(startEdge({ WS_MAX_CONNECTIONS: 'many' })).rejects.toThrow('WS_MAX_CONNECTIONS');
  });

  it('report the end of the connection instead of waiting further', async () => {
    const edge = await startEdge({ REDIS_URL: redis.url });
    await using client = await TestClient.connect(edge.wsUrl);
    const waiting = client.waitFor(() => false);
    edge.signal('SIGKILL');
    await expect(waiting).rejects.toThrow('the connection ended with 1006');
    expect(await edge.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('reject a subscription that the edge rejects', async () => {
    await using edge = await startEdge({ REDIS_URL: redis.url });
    const refused = TestClient.connect(edge.wsUrl, { channels: ['tw:probe'] });
    await expect(refused).rejects.toThrow('tw:probe');
  });
});
