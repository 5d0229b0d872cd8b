import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { ask, publish } from './ingest-client.ts';
import type { SmokeSettings } from './settings.ts';
import { PROMPTLY_MS, RefusedError, SmokeClient } from './smoke-client.ts';

/** The result of a check in one sentence, or why it does not apply. A check that fails rejects. */
export type Finding = { readonly confirmed: string } | { readonly skipped: string };

export interface Check {
  readonly name: string;
  run(settings: SmokeSettings): Promise<Finding>;
}

/** Publications whose order is checked. */
const ORDERED = 50;

/** A header that no honest client sends: above the 16 KiB that nodes and most balancers allow. */
const HUGE_HEADER_BYTES = 65_536;

/** A header as large as cookies and tokens of real clients make it. */
const LARGE_HEADER_BYTES = 6_144;

/** If fewer days are left, a renewal has been missed. */
const CERTIFICATE_DAYS = 14;

const DAY_MS = 86_400_000;

/** Connections per node that show over how many nodes the balancer spreads clients. */
const CONNECTIONS_PER_NODE = 8;

/** In the order of execution: a check comes after those that it relies on. */
export const CHECKS: readonly Check[] = [
  { name: 'certificate', run: checkCertificate },
  { name: 'welcome', run: checkWelcome },
  { name: 'identity', run: checkIdentity },
  { name: 'plain HTTP', run: checkPlainHttp },
  { name: 'bytes', run: checkBytes },
  { name: 'order', run: checkOrder },
  { name: 'rights', run: checkRights },
  { name: 'headers', run: checkHeaders },
  { name: 'subprotocol', run: checkSubprotocol },
  { name: 'nodes', run: checkNodes },
  { name: 'idle', run: checkIdle },
  { name: 'drain', run: checkDrain },
];

async function checkCertificate({
  webSocketUrls,
  certificateAuthority,
}: SmokeSettings): Promise<Finding> {
  const urls = webSocketUrls.filter(({ protocol }) => protocol === 'wss:');
  if (urls.length === 0) return { skipped: 'the URL is not wss:' };
  const found = await Promise.all(urls.map((url) => readCertificate(url, certificateAuthority)));
  const days = Math.min(...found.map((each) => each.days));
  if (days < CERTIFICATE_DAYS) throw new Error(`the certificate ends in ${days} days`);
  const protocols = [...new Set(found.map((each) => each.protocol))].join(', ');
  return { confirmed: `${protocols}, a trusted certificate for this name, for ${days} more days` };
}

/** The version of TLS that is spoken there, and for how many days the certificate is good. Rejects if it is not trusted. */
async function readCertificate(
  webSocketUrl: URL,
  certificateAuthority: string | undefined,
): Promise<{ readonly protocol: string | null; readonly days: number }> {
  const port = webSocketUrl.port === '' ? 443 : Number(webSocketUrl.port);
  const { certificate, protocol } = await new Promise<{
    readonly certificate: DetailedPeerCertificate;
    readonly protocol: string | null;
  }>((resolve, reject) => {
    const socket = connect(
      {
        host: webSocketUrl.hostname,
        port,
        servername: webSocketUrl.hostname,
        minVersion: 'TLSv1.2',
        ...(certificateAuthority === undefined ? {} : { ca: certificateAuthority }),
      },
      () => {
        resolve({ certificate: socket.getPeerCertificate(true), protocol: socket.getProtocol() });
        socket.destroy();
      },
    );
    socket.setTimeout(PROMPTLY_MS, () => socket.destroy(new Error('no TLS handshake')));
    socket.on('error', reject);
  });
  return { protocol, days: Math.floor((Date.parse(certificate.valid_to) - Date.now()) / DAY_MS) };
}

async function checkWelcome(settings: SmokeSettings): Promise<Finding> {
  const startedAt = performance.now();
  await using client = await SmokeClient.connect(settings);
  const ms = Math.round(performance.now() - startedAt);
  const { node, protocol, serverTime } = client.welcome;
  const apartMs = Math.abs(Date.now() - serverTime);
  return { confirmed: `${node} speaks ${protocol} after ${ms} ms; clocks are ${apartMs} ms apart` };
}

async function checkIdentity(settings: SmokeSettings): Promise<Finding> {
  await using stranger = await SmokeClient.connect({ ...settings, clientToken: undefined });
  const { auth, node } = stranger.welcome;
  if (auth === 'none') return { skipped: 'nodes ask no client who it is (EDGE_AUTH=none)' };
  if (settings.clientToken === undefined) throw new Error('give --client-token-file');
  const refused = await stranger.subscribe(inventChannel()).then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (refused === undefined) throw new Error(`${node} served a client without a token`);
  if (!refused.includes('auth_required')) throw new Error(refused);
  await using client = await SmokeClient.connect(settings);
  return { confirmed: `${client.welcome.node} takes the token, and serves nobody without one` };
}

async function checkPlainHttp(settings: SmokeSettings): Promise<Finding> {
  for (const { href } of settings.webSocketUrls) {
    const { status } = await ask(settings, 'GET', href.replace(/^ws/, 'http'));
    if (status !== 426) throw new Error(`a plain GET of ${href} got ${status}, not 426`);
  }
  return { confirmed: 'a plain GET reaches a node, which demands an upgrade (426)' };
}

async function checkBytes(settings: SmokeSettings): Promise<Finding> {
  const channel = inventChannel();
  const payload = `{"price":1.10,"text":"é\\u00e9 ${'x'.repeat(1_000)}"}`;
  await using client = await SmokeClient.connect(settings);
  await client.subscribe(channel);
  const startedAt = performance.now();
  await publish(settings, channel, payload);
  await client.waitFor('the publication', () => client.publications.length > 0);
  const ms = Math.round(performance.now() - startedAt);
  if (client.publications[0]?.data !== payload) throw new Error('the payload came out changed');
  return { confirmed: `from ingest to a client byte for byte, ${ms} ms with the request` };
}

async function checkOrder(settings: SmokeSettings): Promise<Finding> {
  const channel = inventChannel();
  await using client = await SmokeClient.connect(settings);
  await client.subscribe(channel);
  for (let n = 1; n <= ORDERED; n += 1) await publish(settings, channel, String(n));
  await client.waitFor('the last publication', () => client.publications.length >= ORDERED);
  client.publications.forEach(({ seq, data }, i) => {
    if (seq !== i + 1 || data !== String(i + 1)) throw new Error(`${data} came in place ${i + 1}`);
  });
  return { confirmed: `${ORDERED} publications once each, in order` };
}

async function checkRights(settings: SmokeSettings): Promise<Finding> {
  if (settings.token === undefined) return { skipped: 'no --token-file was given' };
  const stranger = { ...settings, token: 'not-the-token' };
  const refused = await publish(stranger, inventChannel(), '1').then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (refused === undefined) throw new Error('ingest accepted a publication with a wrong token');
  if (!refused.includes('401')) throw new Error(refused);
  return { confirmed: 'ingest refuses a wrong token (401)' };
}

async function checkHeaders(settings: SmokeSettings): Promise<Finding> {
  const found: string[] = [];
  for (const at of eachEdgeOf(settings)) {
    await using client = await SmokeClient.connect(at, {
      'x-smoke': 'x'.repeat(LARGE_HEADER_BYTES),
    });
    const refusal = await refusalOf(at, { 'x-smoke': 'x'.repeat(HUGE_HEADER_BYTES) });
    const { node } = client.welcome;
    if (refusal === undefined) {
      throw new Error(`${client.url.host} accepted a header of ${HUGE_HEADER_BYTES} bytes`);
    }
    const end =
      refusal instanceof RefusedError ? `status ${refusal.status}` : 'a closed connection';
    found.push(
      `${node} accepts a header of ${LARGE_HEADER_BYTES} bytes; one of ${HUGE_HEADER_BYTES} ends in ${end}`,
    );
  }
  return { confirmed: found.join('; ') };
}

async function checkSubprotocol(settings: SmokeSettings): Promise<Finding> {
  for (const at of eachEdgeOf(settings)) {
    const refused = await refusalOf(at, {}, ['smoke.v0']);
    if (!(refused instanceof RefusedError) || refused.status !== 400) {
      const { host } = at.webSocketUrls[0];
      throw new Error(
        `${host}: an unknown subprotocol was not refused with 400: ${refused ?? 'let in'}`,
      );
    }
  }
  return { confirmed: 'the balancer passes a node’s refusal on (400 for an unknown subprotocol)' };
}

/** The settings with one of the edges only, for each: connections take the URLs in turn. */
function eachEdgeOf(settings: SmokeSettings) {
  return settings.webSocketUrls.map((url) => ({ ...settings, webSocketUrls: [url] as const }));
}

/** Why a connection is not let in. Undefined if it is; it has ended by then. */
async function refusalOf(...args: Parameters<typeof SmokeClient.connect>): Promise<unknown> {
  try {
    await using _ = await SmokeClient.connect(...args);
    return undefined;
  } catch (error) {
    return error;
  }
}

async function checkNodes(settings: SmokeSettings): Promise<Finding> {
  await using stack = new AsyncDisposableStack();
  const clients = await connectToEveryNode(settings, stack);
  const counts = new Map<string, number>();
  for (const { welcome } of clients) counts.set(welcome.node, (counts.get(welcome.node) ?? 0) + 1);
  const list = [...counts].map(([node, count]) => `${node} ${count}`).join(', ');
  if (counts.size < settings.nodes) {
    throw new Error(`${clients.length} connections reached ${counts.size} nodes only: ${list}`);
  }
  return { confirmed: `${clients.length} connections: ${list}` };
}

async function checkIdle(settings: SmokeSettings): Promise<Finding> {
  if (settings.idleSeconds === 0) return { skipped: '--idle-seconds is 0' };
  const channel = inventChannel();
  await using client = await SmokeClient.connect(settings);
  await client.subscribe(channel);
  await sleep(settings.idleSeconds * 1_000);
  if (client.closedWith !== undefined) throw new Error(`closed with ${client.closedWith}`);
  await publish(settings, channel, '1');
  await client.waitFor('a publication after the silence', () => client.publications.length > 0);
  return {
    confirmed: `idle for ${settings.idleSeconds} s with ${client.pings} pings of the node, and still served`,
  };
}

async function checkDrain(settings: SmokeSettings): Promise<Finding> {
  const { drainSeconds } = settings;
  if (drainSeconds === 0) return { skipped: '--wait-for-drain was not given' };
  const channel = inventChannel();
  // An open connection answers pings, so the process would not end before the node does.
  await using stack = new AsyncDisposableStack();
  const clients = await connectToEveryNode(settings, stack);
  for (const client of clients) await client.subscribe(channel);
  console.log(`  drain a node now, e.g. with npm run roll; waiting for ${drainSeconds} s`);
  const told = await Promise.any(
    clients.map(async (client) => {
      await client.waitFor('a notice', () => client.notice !== undefined, drainSeconds * 1_000);
      return client;
    }),
  ).catch(() => {
    throw new Error(`no client was asked to reconnect within ${drainSeconds} s`);
  });
  const { afterMs, deadlineMs } = told.notice as NonNullable<SmokeClient['notice']>;
  await sleep(afterMs);
  // A balancer knows which node drains. Without one, another edge is the way.
  const [other = told.url, ...more] = settings.webSocketUrls.filter((url) => url !== told.url);
  await using successor = await SmokeClient.connect({
    ...settings,
    webSocketUrls: [other, ...more],
  });
  await successor.subscribe(channel);
  const isElsewhere = successor.welcome.node !== told.welcome.node;
  await publish(settings, channel, '1');
  await successor.waitFor('a publication', () => successor.publications.length > 0);
  const closed = (): boolean => told.closedWith !== undefined;
  await told.waitFor('the close', closed, deadlineMs + PROMPTLY_MS);
  if (!isElsewhere) throw new Error(`the new connection reached ${told.welcome.node} again`);
  if (told.closedWith !== 1012) throw new Error(`closed with ${told.closedWith}, not 1012`);
  return {
    confirmed: `${told.welcome.node} notified its client before it closed with 1012; ${successor.welcome.node} served it on`,
  };
}

/**
 * Opens enough connections to reach every node in all likelihood. Rejects with the first failure.
 *
 * @param stack owns those that were opened, also if others failed.
 */
async function connectToEveryNode(
  settings: SmokeSettings,
  stack: AsyncDisposableStack,
): Promise<SmokeClient[]> {
  const count = settings.nodes * CONNECTIONS_PER_NODE;
  const results = await Promise.allSettled(
    Array.from({ length: count }, async () => SmokeClient.connect(settings)),
  );
  const clients = results.flatMap((result) =>
    result.status === 'fulfilled' ? [stack.use(result.value)] : [],
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return clients;
}

/** Returns a channel that nobody uses, so that real clients see no test publications. */
function inventChannel(): string {
  return `smoke.${Date.now().toString(36)}.${Math.random().toString(36).slice(2, 10)}`;
}
