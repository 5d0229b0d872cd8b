import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceProcess, startService } from '@tradewind/dev';
import { afterAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { TestClient } from '../../support/clients/client.ts';
import { startIngest, untilLinked } from '../../support/services/service.ts';
import { shortOrLong } from '../../support/suite/length.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const TOKEN = 'a-token-of-an-operator-with-enough';
const folder = mkdtempSync(join(tmpdir(), 'tradewind-console-'));
const tokenFile = join(folder, 'token');
writeFileSync(tokenFile, TOKEN);

afterAll(() => rmSync(folder, { recursive: true }));

/** An edge notices within 3 s that Redis stands still. The rest is for a machine with other work. */
const DEGRADED_DEADLINE_MS = 30_000;

/** What these tests read of a snapshot. Nodes come as columns. */
interface Shown {
  readonly verdict: { readonly word: string; readonly sentence: string };
  readonly nodes: {
    readonly node?: readonly string[];
    readonly health?: readonly string[];
    readonly connections?: readonly number[];
  };
  readonly events: readonly { readonly node: string; readonly event: string }[];
}

/** What these tests read of an answer to what a page looks at. */
interface Answer {
  readonly kind: string;
  readonly channels?: readonly { readonly channel: string; readonly subscribers: number }[];
  readonly nodes?: readonly {
    readonly node: string;
    readonly epoch?: string;
    readonly offset?: number;
  }[];
  readonly clients?: readonly {
    readonly node: string;
    readonly session: string;
    readonly network: string;
    readonly reason?: string;
  }[];
  readonly items?: readonly { readonly kind: string; readonly offset?: number }[];
}

/** A page that is open. */
class Viewer implements Disposable {
  readonly #socket: WebSocket;
  /** Resolves when the console has ended the page. */
  readonly closed: Promise<unknown>;
  #shown: Shown | undefined;
  /** The latest answer of each kind. */
  readonly answers = new Map<string, Answer>();
  /** Offsets on the tape. */
  readonly offsets: number[] = [];

  constructor(service: ServiceProcess, headers: Readonly<Record<string, string>> = {}) {
    this.#socket = new WebSocket(`${service.url.replace('http', 'ws')}/v1/live`, { headers });
    this.#socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Shown & Answer;
      if (['history', 'tick'].includes(message.kind)) this.#shown = message;
      else this.answers.set(message.kind, message);
      const offsets = message.items?.flatMap(({ offset }) => offset ?? []);
      if (message.kind === 'tape') this.offsets.push(...(offsets ?? []));
    });
    this.#socket.on('error', () => {});
    this.closed = new Promise((resolve) => this.#socket.once('close', resolve));
  }

  get shown(): Shown {
    if (this.#shown === undefined) throw new Error('nothing was shown yet');
    return this.#shown;
  }

  /** The row of a node. */
  node(name: string) {
    const { node = [], health = [], connections = [] } = this.shown.nodes;
    const at = node.indexOf(name);
    return at === -1 ? undefined : { health: health[at], connections: connections[at] };
  }

  /** Says what it looks at. */
  ask(question: object): void {
    this.say(JSON.stringify(question));
  }

  say(text: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }
}

async function startConsole(
  redisUrl: string,
  env: Readonly<Record<string, string>> = {},
): Promise<ServiceProcess> {
  return await startService('console', { REDIS_URL: redisUrl, ...env });
}

/** Sends a request with headers that `fetch` does not allow. Resolves with the status, a cookie and the body. */
async function send(
  url: string,
  options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly status: number; readonly cookie: string; readonly body: string }> {
  return await new Promise((resolve, reject) => {
    const call = request(url, options, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => {
        body += part;
      });
      answer.on('end', () => {
        const [cookie = ''] = answer.headers['set-cookie'] ?? [];
        resolve({ status: answer.statusCode ?? 0, cookie: cookie.split(';')[0] ?? '', body });
      });
    });
    call.on('error', reject);
    call.end();
  });
}

describe.each(shortOrLong([3], [1, 3]))('the console, with edges of %i workers', (workers) => {
  it('shows clients, a killed edge with its last figures, and Redis that stands still', async () => {
    await using tier = await startTier({ edges: 2, env: { EDGE_WORKERS: String(workers) } });
    await using service = await startConsole(tier.redis.url);
    using viewer = new Viewer(service);
    const [edge, other] = tier.edges as [(typeof tier.edges)[0], (typeof tier.edges)[0]];
    await using client = await TestClient.connect(edge.wsUrl);
    await client.subscribe(['BTC.trade']);
    await eventually(() => viewer.node('edge-1')?.connections === 1);
    expect(viewer.shown.verdict.word).toBe('Healthy');

    edge.signal('SIGKILL');
    await edge.exited;
    const killedAt = performance.now();
    await eventually(() => viewer.node('edge-1')?.health === 'silent');
    expect(performance.now() - killedAt).toBeLessThan(2_500 + BUSY_MACHINE_MS);
    expect(viewer.node('edge-1')).toMatchObject({ connections: 1 });
    expect(viewer.node('edge-2')).toMatchObject({ health: 'ready' });
    expect(viewer.shown.verdict).toMatchObject({ word: 'Failing' });

    await tier.redis.freeze();
    await eventually(() => viewer.shown.verdict.word === 'Blind');
    await other.waitForLine(
      (line) => line.includes('"degraded"') || undefined,
      DEGRADED_DEADLINE_MS,
    );
    await tier.redis.thaw();
    await eventually(() => viewer.node('edge-2')?.health === 'ready');
    await eventually(() =>
      viewer.shown.events.some(({ node, event }) => node === 'edge-2' && event === 'restored'),
    );
  });
});

describe.each([1, 3])('what a page looks at, with edges of %i workers', (workers) => {
  it('is answered by all edges: channels, positions, a client and its end, and a tape', async () => {
    await using tier = await startTier({ edges: 2, env: { EDGE_WORKERS: String(workers) } });
    await using ingest = await startIngest({ REDIS_URL: tier.redis.url });
    await untilLinked(ingest);
    const urls = tier.edges.map(({ wsUrl }) => wsUrl).join(',');
    await using service = await startConsole(tier.redis.url, { CONSOLE_EDGE_URLS: urls });
    using viewer = new Viewer(service);
    await eventually(() => viewer.node('edge-2')?.health === 'ready');
    const clients = await Promise.all(
      tier.edges.map(({ wsUrl }) => TestClient.connect(wsUrl, { channels: ['BTC.trade'] })),
    );
    const { session } = clients[1]!.welcome;
    const publish = async () => {
      const url = `${ingest.url}/v1/channels/BTC.trade`;
      expect((await fetch(url, { method: 'POST', body: '{"price":"7.5"}' })).status).toBe(200);
    };
    await publish();
    expect(await tier.backend.exists('tw:console:watch')).toBe(0);
    viewer.ask({ list: { order: 'rate', text: 'BTC' }, channel: 'BTC.trade', client: session });
    await eventually(() => viewer.offsets.length === 1);
    for (let i = 0; i < 9; i += 1) await publish();
    await eventually(() => viewer.offsets.length === 10);
    expect(viewer.offsets).toEqual(Array.from({ length: 10 }, (_, i) => i + 1));

    // Two clients, and the console itself.
    const listed = () => viewer.answers.get('channels')?.channels?.[0];
    await eventually(() => listed()?.subscribers === 3);
    expect(listed()?.channel).toBe('BTC.trade');
    const positions = () => viewer.answers.get('channel')?.nodes ?? [];
    await eventually(() => positions().filter(({ offset }) => offset === 10).length === 2);
    expect(positions().map(({ node }) => node)).toEqual(['edge-1', 'edge-2']);
    expect(new Set(positions().map(({ epoch }) => epoch)).size).toBe(1);
    const found = () => viewer.answers.get('clients')?.clients ?? [];
    await eventually(() => found().length === 1);
    expect(found()[0]).toMatchObject({ node: 'edge-2', session, network: '127.0.0.0/24' });

    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    await eventually(() => found()[0]?.reason !== undefined);
    viewer.ask({});
    await eventually(async () => (await tier.backend.exists('tw:console:watch')) === 0);
    await eventually(async () => (await tier.backend.exists('tw:node:edge-1:answer')) === 0);
  });
});

describe('the console', () => {
  it('ends the connections of a subject through ingest, for an operator who has logged in', async () => {
    const ingestTokens = join(folder, 'ingest-token');
    writeFileSync(ingestTokens, 'a-token-of-the-console-for-ingest');
    await using tier = await startTier({ edges: 1 });
    await using ingest = await startIngest({
      REDIS_URL: tier.redis.url,
      INGEST_TOKENS: 'a-token-of-the-console-for-ingest',
    });
    await untilLinked(ingest);
    await using service = await startConsole(tier.redis.url, {
      CONSOLE_TOKEN_FILE: tokenFile,
      CONSOLE_INGEST_URL: ingest.url,
      CONSOLE_INGEST_TOKEN_FILE: ingestTokens,
    });
    const origin = service.url;
    const action = { origin, 'x-tradewind-console': '1' };
    const end = `${service.url}/v1/subjects/auth0%7Cu1/disconnect`;
    expect((await send(end, { method: 'POST', headers: action })).status).toBe(401);
    const { cookie } = await send(`${service.url}/v1/login`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, origin },
    });
    const answer = await send(end, { method: 'POST', headers: { ...action, cookie } });
    expect(answer).toMatchObject({ status: 202 });
    const [revocation = ''] = await tier.backend.zrange('tw:revocations', '0', '-1');
    expect(revocation).toContain('auth0|u1');
  });

  it('gives a foreign host or page nothing', async () => {
    await using tier = await startTier({ edges: 1 });
    await using service = await startConsole(tier.redis.url);
    expect((await send(service.url)).status).toBe(200);
    for (const path of ['/', '/page.js', '/v1/session']) {
      const rebound = await send(`${service.url}${path}`, { headers: { host: 'evil.example' } });
      expect(rebound.status).toBe(421);
      const foreign = { headers: { origin: 'https://evil.example' } };
      expect((await send(`${service.url}${path}`, foreign)).status).toBe(403);
    }
    using foreign = new Viewer(service, { origin: 'https://evil.example' });
    using own = new Viewer(service);
    await eventually(() => own.node('edge-1') !== undefined);
    expect(() => foreign.shown).toThrow('nothing was shown yet');
  });

  it('ignores what is no question, and ends a page that asks without end', async () => {
    await using tier = await startTier({ edges: 1 });
    await using service = await startConsole(tier.redis.url);
    using flood = new Viewer(service);
    using other = new Viewer(service);
    await eventually(() => flood.node('edge-1') !== undefined);
    for (const text of ['', 'no JSON', '[]', '{"channel":7}']) flood.say(text);
    flood.ask({ list: { order: 'rate', text: '' } });
    await eventually(() => flood.answers.has('channels'));
    for (let i = 0; i < 1_000; i += 1) flood.ask({ channel: `c${i}` });
    await flood.closed;
    await eventually(() => other.node('edge-1')?.health === 'ready');
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
  });

  it('keeps a page open beside connections that say nothing', async () => {
    await using tier = await startTier({ edges: 1 });
    await using service = await startConsole(tier.redis.url, { HTTP_MAX_CONNECTIONS: '4' });
    using viewer = new Viewer(service);
    let isClosed = false;
    void viewer.closed.then(() => {
      isClosed = true;
    });
    await eventually(() => viewer.node('edge-1') !== undefined);
    using waiting = new DisposableStack();
    const sockets = Array.from({ length: 6 }, () => {
      const socket = connect(service.port, '127.0.0.1').on('error', () => {});
      waiting.defer(() => socket.destroy());
      return socket.resume();
    });
    await Promise.race(sockets.map((socket) => once(socket, 'close')));
    await eventually(() => sockets.filter((socket) => socket.closed).length === 2);
    expect(isClosed).toBe(false);
  });

  it('drains an edge for an operator who has logged in, and for nobody else', async () => {
    await using tier = await startTier({ edges: 1 });
    await using service = await startConsole(tier.redis.url, { CONSOLE_TOKEN_FILE: tokenFile });
    const origin = service.url;
    const drain = `${service.url}/v1/nodes/edge-1/drain`;
    const action = { origin, 'x-tradewind-console': '1' };
    const [edge] = tier.edges as [(typeof tier.edges)[0]];

    expect((await send(drain, { method: 'POST', headers: action })).status).toBe(401);
    const wrong = { authorization: 'Bearer wrong', origin };
    const login = `${service.url}/v1/login`;
    expect((await send(login, { method: 'POST', headers: wrong })).status).toBe(401);
    const right = { authorization: `Bearer ${TOKEN}`, origin };
    const { status, cookie } = await send(login, { method: 'POST', headers: right });
    expect(status).toBe(200);
    // A form of another page would carry the cookie, but neither our header nor our origin.
    expect((await send(drain, { method: 'POST', headers: { cookie } })).status).toBe(401);

    using viewer = new Viewer(service, { cookie, origin });
    await eventually(() => viewer.node('edge-1')?.health === 'ready');
    const answer = await send(drain, { method: 'POST', headers: { ...action, cookie } });
    expect(answer).toMatchObject({ status: 202 });
    expect((await edge.exited).code).toBe(0);
    expect(service.output.join('\n')).not.toContain(TOKEN);
  });
});
