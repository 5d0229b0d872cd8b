import { type Client, connect, type WebSocketConstructor } from '@tradewind/client';
import { connect as connectBinary } from '@tradewind/client/binary';
import { parseMetrics, type ServiceProcess } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { spyOnSockets } from '../sdk/spy-socket.ts';
import { TestClient } from '../support/clients/client.ts';
import { startRedis, type TestRedis } from '../support/redis/redis.ts';
import { startEdge, startIngest, untilLinked } from '../support/services/service.ts';
import { eventually } from '../support/suite/wait.ts';
import {
  type OldService,
  obstacleToReleaseBefore,
  type ReleaseBefore,
  unpackReleaseBefore,
} from './release-before.ts';

const CHANNEL = 'BTC.trade';
const ROUNDS = 50;

const obstacle = obstacleToReleaseBefore();
if (obstacle !== undefined) console.warn(`mixed versions: skipped: ${obstacle}`);

/** N is this workspace, N−1 the release before; `docs/publishing.md` describes the order in which they are rolled. */
describe.skipIf(obstacle !== undefined)(`mixed versions${obstacle ? `: ${obstacle}` : ''}`, () => {
  let before: ReleaseBefore;
  let owned: AsyncDisposableStack;
  let redis: TestRedis;
  let backend: Redis;

  beforeAll(async () => {
    before = await unpackReleaseBefore();
  });
  afterAll(async () => {
    await before[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    owned = new AsyncDisposableStack();
    redis = owned.use(await startRedis());
    backend = new Redis(redis.url);
    owned.defer(() => backend.disconnect());
  });
  afterEach(async () => {
    await owned.disposeAsync();
  });

  it('first the edges: an old one and a new one deliver the same from old publishers', async () => {
    const clients = [await clientOf(await oldEdge()), await clientOf(await newEdge())];
    const ingest = await oldIngest();
    const sent = await publishInTurn([(data) => post(ingest, data), plain]);
    for (const client of clients) {
      await client.waitFor(() => client.publications.length >= sent.length);
      expect(client.publications.map(({ data }) => data)).toEqual(sent);
      expect(client.publications.map(({ seq }) => seq)).toEqual(sent.map((_, i) => i + 1));
      expectNoLoss(client);
    }
  });

  it('clients of both wires through the roll and back: binary frames where an edge has them, text where it does not', async () => {
    let edge: OldService | ServiceProcess = await oldEdge();
    const spy = spyOnSockets(WebSocket as unknown as WebSocketConstructor);
    const clients = [
      connect(() => wsUrl(edge)),
      connectBinary(() => wsUrl(edge), { webSocket: spy.WebSocket }),
    ].map((client) => ({ client: owned.use(client), received: gather(client) }));
    const sent: string[] = [];
    const binaryFrames: number[] = [];
    for (const next of [undefined, newEdge, oldEdge, newEdge]) {
      if (next !== undefined) {
        const left = edge;
        edge = await next();
        // An edge that ends sends its clients to the next one.
        await left.stop();
      }
      await eventually(async () => {
        for (const { client } of clients) {
          expect(client.state.name).toBe('online');
          expect(client.channel(CHANNEL).state.name).toBe('live');
        }
        expect(await subscriptionsOf(edge)).toBe(clients.length);
      });
      const before = spy.binaryFrames;
      sent.push(...(await publishInTurn([plain], sent.length)));
      for (const { received } of clients) {
        await eventually(() => expect(received.length).toBeGreaterThanOrEqual(sent.length));
        expect(received).toEqual(sent.map((text) => JSON.parse(text)));
      }
      binaryFrames.push(spy.binaryFrames - before);
    }
    expect(binaryFrames).toEqual([0, ROUNDS, 0, ROUNDS]);
  });

  it('then the publishers: an old one, a new one and a plain PUBLISH share a channel on new edges', async () => {
    const edges = [await newEdge(), await newEdge()] as const;
    const ingests = [await oldIngest(), await newIngest()] as const;
    // The epoch that the first new publication begins is reported as new to earlier clients.
    await post(ingests[1], '{"first":true}');
    const clients = [await clientOf(edges[0]), await clientOf(edges[1])];
    const sent = await publishInTurn([
      (data) => post(ingests[0], data),
      (data) => post(ingests[1], data),
      plain,
    ]);
    const sequenced = sent.filter((_, i) => i % 3 === 1);
    for (const client of clients) {
      await client.waitFor(() => client.publications.length >= sent.length);
      const { publications } = client;
      expect(publications.map(({ data }) => data).toSorted()).toEqual(sent.toSorted());
      const withOffset = publications.filter(({ offset }) => offset !== undefined);
      const without = publications.filter(({ offset }) => offset === undefined);
      expect(withOffset.map(({ data }) => data)).toEqual(sequenced);
      expect(withOffset.map(({ offset }) => offset)).toEqual(sequenced.map((_, i) => i + 2));
      expect(without.map(({ data }) => data)).toEqual(sent.filter((_, i) => i % 3 !== 1));
      expectNoLoss(client);
    }
  });

  it('not the other way round: an old edge drops and counts publications of a new publisher, and delivers the rest', async () => {
    const old = await oldEdge();
    const clients = [await clientOf(old), await clientOf(await newEdge())] as const;
    const ingest = await newIngest();
    const sent = await publishInTurn([(data) => post(ingest, data), plain]);
    const plainOnes = sent.filter((_, i) => i % 2 === 1);
    const [ofOld, ofNew] = clients;
    await ofNew.waitFor(() => ofNew.publications.length >= sent.length);
    await ofOld.waitFor(() => ofOld.publications.length >= plainOnes.length);
    expect(ofNew.publications.map(({ data }) => data).toSorted()).toEqual(sent.toSorted());
    expect(ofOld.publications.map(({ data }) => data)).toEqual(plainOnes);
    const metrics = parseMetrics(
      await (await fetch(`http://127.0.0.1:${old.adminPort}/metrics`)).text(),
    );
    expect(
      metrics.sum('tradewind_edge_publications_dropped_total', { reason: 'unconfirmed_header' }),
    ).toBe(sent.length - plainOnes.length);
  });

  it('and back: a client that resumes on an old edge gets the answer that this is not possible there', async () => {
    const client = await TestClient.connect(wsUrl(await oldEdge()));
    owned.use(client);
    const since = { epoch: 'k3x9', offset: 118 };
    const { channels } = await client.subscribe([{ channel: CHANNEL, since }]);
    expect(channels).toMatchObject([
      { channel: CHANNEL, recovered: false, reason: 'not_available' },
    ]);
    await plain('{"n":1}');
    await client.waitFor(() => client.publications.length === 1);
  });

  async function oldEdge(): Promise<OldService> {
    return owned.use(await before.start('edge', settings()));
  }

  async function newEdge(): Promise<ServiceProcess> {
    const edge = owned.use(await startEdge(settings()));
    await untilLinked(edge);
    return edge;
  }

  async function oldIngest(): Promise<OldService> {
    return owned.use(await before.start('ingest', settings()));
  }

  async function newIngest(): Promise<ServiceProcess> {
    const ingest = owned.use(await startIngest(settings()));
    await untilLinked(ingest);
    return ingest;
  }

  function settings() {
    const drain = { DRAIN_SECONDS: '3', DRAIN_ACCEPT_SECONDS: '0' };
    return { ...drain, REDIS_URL: redis.url, LOG_LEVEL: 'info' };
  }

  async function clientOf(edge: { readonly port: number }): Promise<TestClient> {
    return owned.use(await TestClient.connect(wsUrl(edge), { channels: [CHANNEL] }));
  }

  async function plain(data: string): Promise<void> {
    await backend.publish(CHANNEL, data);
  }
});

/** What a client is given of the channel, from now on. */
function gather(client: Client): unknown[] {
  const received: unknown[] = [];
  client.channel(CHANNEL).subscribe(({ data }) => void received.push(data));
  return received;
}

async function subscriptionsOf({ adminPort }: { readonly adminPort: number }): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/debug/index`);
  return ((await answer.json()) as { readonly subscriptions: number }).subscriptions;
}

function wsUrl({ port }: { readonly port: number }): string {
  return `ws://127.0.0.1:${port}/ws`;
}

async function post(ingest: { readonly port: number }, data: string): Promise<void> {
  const url = `http://127.0.0.1:${ingest.port}/v1/channels/${CHANNEL}`;
  const answer = await fetch(url, { method: 'POST', body: data });
  if (!answer.ok) throw new Error(`ingest answered ${answer.status}: ${await answer.text()}`);
}

/**
 * Publishes numbered payloads one after the other, each by the next publisher. Resolves with all of them.
 *
 * @param after how many were published before.
 */
async function publishInTurn(
  publishers: readonly ((data: string) => Promise<void>)[],
  after = 0,
): Promise<readonly string[]> {
  const sent: string[] = [];
  for (let n = 1; n <= ROUNDS * publishers.length; n += 1) {
    // Numbers of equal length can be sorted, and these bytes change if a parser prints them again.
    const data = `{"n":${1_000 + after + n}, "price":1.10}`;
    sent.push(data);
    await publishers[(n - 1) % publishers.length]?.(data);
  }
  return sent;
}

function expectNoLoss(client: TestClient): void {
  const types = client.controls.map(({ type }) => type);
  expect(types.filter((type) => type !== 'welcome' && type !== 'subscribed')).toEqual([]);
}
