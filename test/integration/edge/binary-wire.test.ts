import { nodeStateKey, readNodeState } from '@tradewind/bus';
import { BINARY_SUBPROTOCOL, JSON_SUBPROTOCOL } from '@tradewind/protocol';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { ScriptPublisher } from '../../support/clients/script-publisher.ts';
import { recordedTrades } from '../../support/publications/trades.ts';
import { INSPECTABLE, runInWorker, socketsOfWorkers } from '../../support/services/inspector.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const CHANNEL = 'ETH.trade';
const TRADES = recordedTrades();
const PROTOCOLS = [JSON_SUBPROTOCOL, BINARY_SUBPROTOCOL];
/** Of each subprotocol. The kernel spreads them over the workers. */
const CLIENTS = 12;

let tier: Tier;
let publisher: ScriptPublisher;
let published = 0;

beforeEach(async () => {
  tier = await startTier({
    edges: 2,
    env: { ...INSPECTABLE, EDGE_WORKERS: '2', EDGE_SLOW_GRACE_MS: '60000' },
  });
  publisher = new ScriptPublisher(tier.backend, 10_000);
  published = 0;
});

afterEach(async () => {
  await tier?.[Symbol.asyncDispose]();
});

async function publish(count: number, channel = CHANNEL): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await publisher.publish(channel, Buffer.from(TRADES[published % TRADES.length] as string));
    published += 1;
  }
}

/** What a client received of publications, as text. */
function textsOf(client: TestClient): string[] {
  return client.publications.map(({ offset, ts, data }) => `${offset} ${ts} ${data}`);
}

function connect(
  protocol: string,
  edge = 0,
  channels: Parameters<typeof TestClient.connect>[1] = {},
) {
  const url = tier.edges[edge]?.wsUrl as string;
  return TestClient.connect(url, { protocols: [protocol], channels: [CHANNEL], ...channels });
}

it('clients of both subprotocols get the same of one channel, byte for byte, one with less than half of the bytes', async () => {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => PROTOCOLS.map((protocol) => connect(protocol))).flat(),
  );
  await publish(600);
  await tier.backend.publish(CHANNEL, 'plain text, zwölf €');
  for (const client of clients) await client.waitFor((one) => one.publications.length === 601);
  const [first, ...others] = clients.map(textsOf);
  expect(first?.slice(0, 600).map((text) => text.replace(/^\S+ \S+ /, ''))).toEqual(
    TRADES.slice(0, 600),
  );
  for (const texts of others) expect(texts).toEqual(first);
  const [text = 0, binary = 0] = clients.map(({ bytes }) => bytes);
  console.log(`${binary} bytes against ${text}: ${((100 * binary) / text).toFixed(1)} %`);
  expect(binary).toBeLessThan(0.5 * text);

  // A hub that has no time for deflating, beside a busy core say, sends raw.
  const metrics = await tier.edges[0]?.metrics();
  const deflated = metrics?.sum('tradewind_edge_deflated_total') ?? 0;
  const inHaste = metrics?.sum('tradewind_edge_deflate_raw_total', { reason: 'budget' }) ?? 0;
  expect(deflated + inHaste).toBeGreaterThan(500);
  expect(metrics?.sum('tradewind_edge_binary_bytes_saved_total')).toBeGreaterThan(
    CLIENTS * 300 * 100,
  );
  // Operators see the same on the console.
  await eventually(async () => {
    const state = readNodeState(await tier.backend.get(nodeStateKey('edge-1')));
    const { binaryConnections, savedBytes = 0, rawFirst = 0 } = state?.figures ?? {};
    return binaryConnections === CLIENTS && savedBytes > CLIENTS * 300 * 100 && rawFirst > 0;
  });
});

it.each(PROTOCOLS)(
  'a slow client with %s is told its gap and receives what follows',
  async (protocol) => {
    const [slow, steady] = await Promise.all([connect(protocol), connect(protocol)]);
    await publish(50);
    await slow.waitFor(({ publications }) => publications.length === 50);
    slow.pause();
    // Random digits do not shrink, so that the kernel's buffers fill.
    const large = () => JSON.stringify(Array.from({ length: 3_000 }, () => Math.random()));
    for (let n = 0; n < 700; n += 1) {
      await publisher.publish(CHANNEL, Buffer.from(large()));
      // Beside a busy core this process reads less than it publishes, and the steady one would miss some too.
      if (n % 10 === 9) await steady.waitFor(({ publications }) => publications.length === 51 + n);
    }
    slow.resume();
    await publish(50);
    const last = publisher.positionOf(CHANNEL, 800);
    await slow.waitFor(({ publications }) => publications.at(-1)?.offset === last?.offset);
    // The worker of the steady one may be the later of the two.
    await steady.waitFor(({ publications }) => publications.length === 800);
    const gaps = slow.controlsOf('gap');
    expect(gaps.length).toBeGreaterThan(0);
    const lost = gaps.reduce((sum, gap) => sum + (gap.lost ?? 0), 0);
    expect(slow.publications.length + lost).toBe(800);
    const known = new Set(textsOf(steady));
    expect(textsOf(slow).filter((text) => !known.has(text))).toEqual([]);
  },
  120_000,
);

it('a client resumes on another node, and after its worker was lost', async () => {
  const client = await connect(BINARY_SUBPROTOCOL);
  await publish(100);
  await client.waitFor(({ publications }) => publications.length === 100);
  const { epoch } = publisher.positionOf(CHANNEL, 1) as { epoch: string };
  await client.terminate();
  await publish(100);
  const since = { epoch, offset: 100 };
  const resumed = await connect(BINARY_SUBPROTOCOL, 1, { channels: [{ channel: CHANNEL, since }] });
  await publish(100);
  await resumed.waitFor(({ publications }) => publications.length === 200);
  expect(resumed.publications.map(({ data }) => data)).toEqual(TRADES.slice(100, 300));

  const edge = tier.edges[1] as NonNullable<(typeof tier.edges)[number]>;
  const others = await Promise.all(PROTOCOLS.flatMap((one) => [connect(one, 1), connect(one, 1)]));
  for (let lost = 1; resumed.isOpen; lost += 1) {
    // The one that has run for longest, and then the other.
    await runInWorker(edge, 0, `setTimeout(() => { throw new Error('a fault in the test') }, 0)`);
    await eventually(async () => {
      const metrics = await edge.metrics();
      expect(metrics.sum('tradewind_edge_workers_lost_total')).toBe(lost);
      expect(await socketsOfWorkers(edge)).toHaveLength(2);
      const open = [resumed, ...others].filter(({ isOpen }) => isOpen);
      expect(metrics.sum('tradewind_edge_connections')).toBe(open.length);
    });
  }
  await publish(50);
  const again = await eventually(() =>
    connect(BINARY_SUBPROTOCOL, 1, {
      channels: [{ channel: CHANNEL, since: { epoch, offset: 300 } }],
    }),
  );
  await publish(50);
  await again.waitFor(({ publications }) => publications.length === 100);
  expect(again.publications.map(({ data }) => data)).toEqual(TRADES.slice(300, 400));
  for (const other of others.filter(({ isOpen }) => isOpen)) {
    await other.waitFor(({ publications }) => publications.at(-1)?.offset === 400);
  }
}, 120_000);
