import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { HandshakeFlood } from '../../support/clients/handshake-flood.ts';
import type { ServiceEnvironment, TestEdge } from '../../support/services/service.ts';
import { IS_LONG, shortOrLong } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const SECONDS = Number(process.env.FLOOD_SECONDS ?? shortOrLong(2, 60));
const FLOOD_RATE = Number(process.env.FLOOD_RATE ?? shortOrLong(500, 2_000));

/** Clients that connect during the flood: an address each, and one handshake a second each. */
const OTHERS = 50;
const FLOODER = '127.0.66.1';

/** How long one of the others waits for its answer, in ms. */
const PATIENCE_MS = 5_000;

/** The clients that the node has room for: fewer than the flood has asked for before the others are measured. */
const PLACES = 500;

/** Nobody is closed for silence, so what is admitted is what is open. */
const NODE: ServiceEnvironment = {
  EDGE_WORKERS: '1',
  WS_MAX_CONNECTIONS: String(PLACES),
  EDGE_SILENT_SECONDS: '3600',
  EDGE_PING_SECONDS: '3600',
};

const REQUEST = [
  'GET /ws HTTP/1.1',
  'host: localhost',
  'upgrade: websocket',
  'connection: Upgrade',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

/** One handshake. Returns the ms from the connect to the 101; undefined if there was none. */
function handshake(port: number, localAddress: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const begun = performance.now();
    const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
    const end = (ms: number | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(ms);
    };
    const timer = setTimeout(() => end(undefined), PATIENCE_MS);
    socket.on('error', () => end(undefined));
    socket.once('close', () => end(undefined));
    socket.once('data', (bytes) => {
      const isAdmitted = bytes.toString('latin1').startsWith('HTTP/1.1 101 ');
      end(isAdmitted ? performance.now() - begun : undefined);
    });
    socket.write(REQUEST);
  });
}

/** The others' handshakes for a while: the share that was admitted, and the 99th percentile of their times, in ms. */
async function measureOthers(port: number) {
  const begun = performance.now();
  const answers: Promise<number | undefined>[] = [];
  for (let second = 0; second < SECONDS; second += 1) {
    for (let other = 0; other < OTHERS; other += 1) {
      const at = (second + other / OTHERS) * 1_000;
      await sleep(Math.max(0, begun + at - performance.now()));
      answers.push(handshake(port, `127.0.10.${other + 1}`));
    }
  }
  const times = (await Promise.all(answers)).filter((ms) => ms !== undefined);
  const sorted = times.toSorted((a, b) => a - b);
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.POSITIVE_INFINITY;
  return { admitted: times.length / answers.length, p99 };
}

/** Measures the others alone, which only the full length compares, and then beside a flood that has asked for twice the places that there are. */
async function measureBesideFlood(edge: TestEdge) {
  const { port } = edge;
  const alone = IS_LONG ? await measureOthers(port) : undefined;
  await using flood = new HandshakeFlood({
    port,
    localAddress: FLOODER,
    perSecond: FLOOD_RATE,
  });
  await eventually(async () => (await flood.outcome()).sent >= 2 * PLACES);
  const cpuBefore = await cpuSecondsOf(edge);
  const beside = await measureOthers(port);
  const cpu = ((await cpuSecondsOf(edge)) - cpuBefore) / SECONDS;
  const outcome = await flood.outcome();
  console.log(`${FLOOD_RATE}/s for ${SECONDS} s:`, JSON.stringify({ alone, beside, outcome, cpu }));
  return { alone, beside, outcome };
}

async function cpuSecondsOf(edge: TestEdge): Promise<number> {
  return (await edge.metrics()).sum('process_cpu_seconds_total') ?? 0;
}

const TIMEOUT = { timeout: 60_000 + 3 * SECONDS * 1_000 };

it('one address that floods the node with handshakes keeps nobody else out', TIMEOUT, async () => {
  const MOST = 300;
  const limits = { EDGE_TRUSTED_PROXIES: 'direct', EDGE_ADDRESS_MAX_CONNECTIONS: String(MOST) };
  await using tier = await startTier({ edges: 1, env: { ...NODE, ...limits } });
  const [edge] = tier.edges as [TestEdge];
  const { alone, beside, outcome } = await measureBesideFlood(edge);
  expect(outcome.admitted).toBeLessThanOrEqual(MOST);
  expect(beside.admitted).toBeGreaterThanOrEqual(0.99);
  // `npm test` runs beside whatever else the machine does, and times of one run may differ by more than this.
  if (alone !== undefined) expect(beside.p99).toBeLessThanOrEqual(Math.max(1.5 * alone.p99, 20));
  const metrics = await edge.metrics();
  const limit = 'address_handshakes';
  expect(metrics.sum('tradewind_edge_limited_total', { limit })).toBeGreaterThan(0);
});

it('(control) without limits by address it takes every place', TIMEOUT, async () => {
  await using tier = await startTier({ edges: 1, env: NODE });
  const [edge] = tier.edges as [TestEdge];
  const { beside, outcome } = await measureBesideFlood(edge);
  expect(outcome.admitted).toBeGreaterThanOrEqual(PLACES);
  expect(beside.admitted).toBeLessThan(0.5);
});
