import { spawn } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceProcess, startService } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createTestAuthority } from '../../support/identity/certificates.ts';
import { hs256, makeToken, nowSeconds } from '../../support/identity/tokens.ts';
import { startRedis, type TestRedis } from '../../support/redis/redis.ts';
import { startEdge, startIngest, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

/** Where a secret could come to light. */
type Place = 'log' | 'metrics' | 'debug page' | 'answers' | 'Redis’ MONITOR' | 'command lines';

/** A secret that the test has put somewhere, as the forms in which it could be shown. */
interface Planted {
  readonly what: string;
  readonly forms: readonly string[];
  /** Places that it belongs in. */
  readonly belongsIn: readonly Place[];
}

const HS = { alg: 'HS256', typ: 'JWT' };
const ORIGIN = 'https://app.example';
const CHANNEL = 'BTC.trade';

/** Everything that was planted, and what should be found to show that the search works. */
class Plants {
  readonly all: Planted[] = [];
  readonly #key: string;

  constructor() {
    this.#key = this.secret('the key of the tokens');
  }

  /** The bytes of the key file. */
  get key(): string {
    return this.#key;
  }

  /** Plants a secret. What makes it goes to the caller. */
  secret(what: string, belongsIn: readonly Place[] = []): string {
    const text = `planted-${randomBytes(20).toString('hex')}`;
    this.all.push({ what, forms: formsOf(text), belongsIn });
    return text;
  }

  /** Plants a text that is there already. */
  add(what: string, text: string): void {
    this.all.push({ what, forms: formsOf(text), belongsIn: [] });
  }

  /** Plants a token, with a claim that is a secret itself. */
  token(what: string, key = this.#key): string {
    const planted = this.secret(`a claim of ${what}`);
    const tw = { channels: ['*'], history: ['*'] };
    const claims = { sub: 'a-subject', exp: nowSeconds() + 600, tw, planted };
    const token = makeToken(HS, claims, hs256(key));
    const [, payload = '', signature = ''] = token.split('.');
    this.all.push({ what, forms: [payload, signature], belongsIn: [] });
    return token;
  }
}

function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  return [text, bytes.toString('base64').slice(0, -4), bytes.toString('hex'), bytes.join(',')];
}

/** What was answered: bodies over HTTP with their headers, frames and the reasons of closes. */
class Answers {
  readonly texts: string[] = [];

  async fetch(url: string, init: RequestInit = {}): Promise<number> {
    const answer = await fetch(url, init);
    const headers = JSON.stringify([...answer.headers]);
    this.texts.push(`${answer.status} ${headers} ${await answer.text()}`);
    return answer.status;
  }

  /** Opens a WebSocket, sends frames, and waits for an answer. The caller terminates the result. */
  async webSocket(
    url: string,
    options: {
      readonly protocols?: readonly string[];
      readonly headers?: Readonly<Record<string, string>>;
      readonly frames?: readonly string[];
      /** A part of the answer after which the frames are sent; the welcome unless it is given. */
      readonly after?: string;
      /** A part of the answer that ends the exchange. */
      readonly until: string;
    },
  ): Promise<WebSocket> {
    const { protocols = [], headers = {}, frames = [], after = 'welcome', until } = options;
    const socket = new WebSocket(url, [...protocols], { headers: { origin: ORIGIN, ...headers } });
    const { promise, resolve } = Promise.withResolvers<void>();
    const note = (text: string): void => {
      this.texts.push(text);
      if (text.includes(until)) resolve();
    };
    socket.on('error', () => {});
    socket.on('unexpected-response', (_request, response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        note(`${JSON.stringify(response.rawHeaders)} ${Buffer.concat(pieces).toString()}`);
      });
    });
    let isSent = false;
    socket.on('message', (data) => {
      note(String(data));
      if (isSent || !String(data).includes(after)) return;
      isSent = true;
      for (const frame of frames) socket.send(frame);
    });
    socket.on('close', (code, reason) => note(`closed ${code} ${reason.toString()}`));
    await Promise.race([promise, once(AbortSignal.timeout(60_000), 'abort')]);
    expect(this.texts.join('\n')).toContain(until);
    return socket;
  }

  /** Sends bytes as they are, and reads until the peer closes. */
  async raw(port: number, text: string): Promise<void> {
    const socket = connect(port, '127.0.0.1');
    socket.setEncoding('utf8').on('data', (piece: string) => this.texts.push(piece));
    socket.on('error', () => {});
    socket.end(text);
    await once(socket, 'close');
  }
}

/** The command lines of all processes of this machine. */
function commandLines(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .join('\n');
}

/** Everything that Redis is told from now on. Redis leaves AUTH out of it by itself. */
async function monitor(redis: TestRedis, password: string): Promise<AsyncDisposable & string[]> {
  const monitoring = await new Redis(redis.url, { password }).monitor();
  const commands = [] as unknown as AsyncDisposable & string[];
  monitoring.on('monitor', (_time: string, args: readonly string[]) => {
    commands.push(args.join(' '));
  });
  commands[Symbol.asyncDispose] = async () => monitoring.disconnect();
  return commands;
}

async function textOf(url: string, token: string): Promise<string> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  return await answer.text();
}

/** The places in which a secret is that does not belong there. */
function leaksOf(plants: readonly Planted[], places: Readonly<Record<Place, string>>): string[] {
  return plants.flatMap(({ what, forms, belongsIn }) =>
    (Object.keys(places) as Place[])
      .filter((place) => !belongsIn.includes(place))
      .filter((place) => forms.some((form) => places[place].includes(form)))
      .map((place) => `${what} in ${place}`),
  );
}

it('shows none of the planted secrets anywhere, and finds what is shown on purpose', async () => {
  const plants = new Plants();
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'tradewind-planted-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };

  const redis = stack.use(await startRedis());
  const redisPassword = plants.secret('the password of Redis');
  const userPassword = plants.secret('the password of a user of Redis, in REDIS_URL');
  const backend = new Redis(redis.url);
  stack.defer(() => backend.disconnect());
  await backend.call(
    'ACL',
    'SETUSER',
    'ingest',
    'on',
    `>${userPassword}`,
    'allkeys',
    'allchannels',
    '+@all',
  );
  await backend.config('SET', 'requirepass', redisPassword);
  const commands = stack.use(await monitor(redis, redisPassword));

  const admin = plants.secret('the token of the edge’s admin port');
  const ingestAdmin = plants.secret('the token of ingest’s admin port');
  const publisher = plants.secret('the token of a publisher');
  const unusedPublisher = plants.secret('a token of a publisher that nobody uses');
  const namedPublisher = plants.secret('the token of a publisher that has an entry');
  const hash = `sha256:${createHash('sha256').update(namedPublisher).digest('hex')}`;
  const entry = { name: 'pricing', hash, channels: ['*'], rights: ['publish'] };
  const common = {
    ...{ LOG_LEVEL: 'trace', EDGE_WORKERS: '2', REDIS_URL: redis.url },
    REDIS_PASSWORD_FILE: file('redis', redisPassword),
  };
  const edge = stack.use(
    await startEdge({
      ...common,
      ...{ EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: file('key', plants.key) },
      ...{ EDGE_ORIGINS: ORIGIN, ADMIN_TOKEN: admin, EDGE_NODE_ID: 'edge-planted' },
    }),
  );
  const ingest = stack.use(
    await startIngest({
      LOG_LEVEL: 'trace',
      REDIS_URL: redis.url.replace('redis://', `redis://ingest:${userPassword}@`),
      ...{ INGEST_TOKENS: `${publisher},${unusedPublisher}`, ADMIN_TOKEN: ingestAdmin },
      INGEST_TOKENS_FILE: file('tokens.json', JSON.stringify({ tokens: [entry] })),
    }),
  );
  const authority = stack.use(await createTestAuthority());
  const { certificateFile, keyFile } = await authority.issue('localhost');
  plants.add('the key of TLS', readFileSync(keyFile, 'utf8').split('\n')[3] ?? '');
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const jwks = (jwk: object) => JSON.stringify({ keys: [jwk] });
  const keysFile = file('keys.json', jwks(publicKey.export({ format: 'jwk' })));
  const tlsEdge = stack.use(
    await startEdge({
      ...common,
      ...{ EDGE_AUTH: 'jwt', EDGE_JWT_KEYS_FILE: keysFile, EDGE_WORKERS: '1' },
      ...{ EDGE_TLS_CERT_FILE: certificateFile, EDGE_TLS_KEY_FILE: keyFile },
    }),
  );
  const operator = plants.secret('the token of an operator');
  const shownTo = stack.use(
    await startService('console', {
      ...{ LOG_LEVEL: 'trace', REDIS_URL: redis.url },
      ...{ REDIS_PASSWORD_FILE: file('redis', redisPassword) },
      CONSOLE_TOKEN_FILE: file('operator', operator),
      CONSOLE_ADMIN_TOKEN_FILE: file('admin', admin),
    }),
  );
  await untilLinked(edge);
  await untilLinked(tlsEdge);
  await untilLinked(ingest);

  // What clients send.
  const answers = new Answers();
  const sockets: WebSocket[] = [];
  stack.defer(() => {
    for (const socket of sockets) socket.terminate();
  });
  const webSocket = async (...args: Parameters<Answers['webSocket']>): Promise<void> => {
    sockets.push(await answers.webSocket(...args));
  };
  const { wsUrl } = edge;
  const tw = 'tradewind.v1.json';
  const auth = (token: string, id: unknown = 1) => JSON.stringify({ type: 'auth', id, token });
  const good = plants.token('a token in a frame');
  const forged = plants.token('a forged token in a frame', 'another key, which has 32 bytes too');
  const late = plants.token('another token in a frame');
  await webSocket(wsUrl, {
    frames: [auth(good), auth(forged, 'control-id'), auth(late, 3)],
    until: 'control-id',
  });
  await webSocket(wsUrl, { frames: [auth(forged)], until: 'closed 4401' });
  await webSocket(wsUrl, {
    protocols: [tw, `tradewind.token.${plants.token('a token as a subprotocol')}`],
    frames: [JSON.stringify({ type: 'subscribe', channels: [CHANNEL, 'control-channel'] })],
    after: 'authenticated',
    until: 'subscribed',
  });
  const forgedProtocol = plants.token('a forged token as a subprotocol', 'x'.repeat(32));
  await webSocket(wsUrl, {
    protocols: [tw, `tradewind.token.${forgedProtocol}`],
    until: 'closed 4401',
  });
  await webSocket(wsUrl, {
    protocols: [`tradewind.token.${plants.token('a token without a protocol')}`],
    until: 'unsupported_protocol',
  });
  await webSocket(wsUrl, {
    protocols: [tw, `tradewind.token.${plants.token('a token from a foreign page')}`],
    headers: { origin: 'https://control-origin.example' },
    until: 'origin_not_allowed',
  });
  await webSocket(`${wsUrl}?token=${plants.secret('a query')}`, { until: 'welcome' });
  await webSocket(`${wsUrl}/${plants.secret('a path')}`, { until: 'not_found' });
  await webSocket(wsUrl, {
    headers: {
      authorization: `Bearer ${plants.secret('a bearer token of a handshake')}`,
      cookie: `session=${plants.secret('a cookie')}`,
    },
    frames: [
      `{"type":"auth","token":"${plants.secret('a frame that ends too early')}`,
      plants.secret('a frame that is no JSON'),
      JSON.stringify({ type: plants.secret('a type'), token: plants.secret('a field') }),
      JSON.stringify({ type: 'auth', token: [plants.secret('a token in a list')] }),
      auth(plants.secret('a token that is no JWT')),
    ],
    until: 'closed 4401',
  });

  // What publishers and operators send.
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const post = (path: string, headers: Readonly<Record<string, string>>, body: string) =>
    answers.fetch(`${ingest.url}${path}`, { method: 'POST', headers, body });
  const payload = plants.secret('a payload', ['Redis’ MONITOR', 'answers']);
  const channel = `/v1/channels/${CHANNEL}`;
  expect(await post(channel, bearer(publisher), JSON.stringify({ payload }))).toBe(200);
  expect(await post(channel, bearer(namedPublisher), '1')).toBe(200);
  const wrong = bearer(plants.secret('a wrong token of a publisher'));
  expect(await post(channel, wrong, plants.secret('a payload that is refused'))).toBe(401);
  const basic = Buffer.from(`user:${plants.secret('a basic password')}`).toString('base64');
  expect(await post(channel, { authorization: `Basic ${basic}` }, '1')).toBe(401);
  expect(await post(`${channel}?token=${plants.secret('a query to ingest')}`, {}, '1')).toBe(401);
  const junk = `[${plants.secret('a body that is no JSON')}`;
  expect(await post('/v1/publish', bearer(publisher), junk)).toBe(400);
  const trade = JSON.stringify({ symbol: plants.secret('a trade that is none') });
  expect(await post('/v1/trades', bearer(publisher), trade)).toBe(400);
  for (const [service, token] of [
    [edge, admin],
    [ingest, ingestAdmin],
  ] as const) {
    const { adminUrl, adminPort, port } = service as ServiceProcess;
    expect(await answers.fetch(`${adminUrl}/metrics`, { headers: bearer(token) })).toBe(200);
    const refused = bearer(plants.secret('a wrong token of an admin port'));
    expect(await answers.fetch(`${adminUrl}/metrics`, { headers: refused })).toBe(401);
    const query = plants.secret('a query to an admin port');
    expect(await answers.fetch(`${adminUrl}/debug/index?token=${query}`)).toBeGreaterThan(400);
    const broken = `GET / HTTP/1.1\r\nAuthorization: Bearer ${plants.secret('a broken request')}\r\nbroken\r\n\r\n`;
    await answers.raw(port, broken);
    await answers.raw(adminPort, broken);
  }

  const login = async (token: string): Promise<string> => {
    const init = { method: 'POST', headers: { ...bearer(token), origin: shownTo.url } };
    const answer = await fetch(`${shownTo.url}/v1/login`, init);
    answers.texts.push(`${answer.status} ${await answer.text()}`);
    return answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  };
  expect(await login(plants.secret('a wrong token of an operator'))).toBe('');
  const cookie = await login(operator);
  plants.add('the cookie of an operator', cookie.split('=')[1] ?? '');
  await webSocket(`${shownTo.url.replace('http', 'ws')}/v1/live`, {
    headers: { cookie, origin: shownTo.url },
    until: 'edge-planted',
  });
  const drain = `${shownTo.url}/v1/nodes/nobody/drain`;
  const action = { cookie, origin: shownTo.url, 'x-tradewind-console': '1' };
  await answers.fetch(drain, { method: 'POST', headers: action });

  // Files that were spoilt: what is said of them must not hold a part of them.
  file('key', plants.secret('a key that is too short').slice(0, 20));
  plants.add(
    'a key that is too short, as it is written',
    readFileSync(join(folder, 'key'), 'utf8'),
  );
  file('tokens.json', plants.secret('a token that was written where its hash belongs'));
  const jwk = privateKey.export({ format: 'jwk' });
  plants.add('a private key where the public one belongs', String(jwk.d));
  file('keys.json', jwks(jwk));
  writeFileSync(keyFile, `-----BEGIN PRIVATE KEY-----\n${plants.secret('a broken key of TLS')}\n`);
  for (const [service, event] of [
    [edge, 'keys_unreadable'],
    [tlsEdge, 'keys_unreadable'],
    [tlsEdge, 'certificate_unusable'],
    [ingest, 'tokens_unreadable'],
  ] as const) {
    await service.waitForLine((line) => line.includes(event) || undefined, 20_000);
  }

  // What must be found, to show that the search looks everywhere.
  const shown = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'control-argument']);
  stack.defer(() => void shown.kill('SIGKILL'));
  await once(shown, 'spawn');
  await eventually(() => commands.some((command) => command.includes('control-channel')));
  await eventually(() => edge.output.some((line) => line.includes('control-origin')));

  const log = [edge, tlsEdge, ingest, shownTo].flatMap(({ output }) => output).join('\n');
  const metricsOf = async (service: ServiceProcess, token: string) =>
    await textOf(`${service.adminUrl}/metrics`, token);
  const pages = ['/debug/index', '/v1/subjects/a-subject/sessions'].map(
    (path) => `${edge.adminUrl}${path}`,
  );
  const places: Readonly<Record<Place, string>> = {
    log,
    metrics: `${await metricsOf(edge, admin)}${await metricsOf(ingest, ingestAdmin)}`,
    'debug page': (await Promise.all(pages.map((page) => textOf(page, admin)))).join('\n'),
    answers: answers.texts.join('\n'),
    'Redis’ MONITOR': commands.join('\n'),
    'command lines': commandLines(),
  };
  expect(leaksOf(plants.all, places)).toEqual([]);
  expect(plants.all.length).toBeGreaterThanOrEqual(20);

  const control = (text: string): Planted => ({ what: text, forms: [text], belongsIn: [] });
  const controls = ['control-origin', 'control-channel', 'control-id', 'control-argument'];
  const found = leaksOf([...controls, 'outcome="signature"'].map(control), places);
  expect(found).toEqual(
    expect.arrayContaining([
      'control-origin in log',
      'control-channel in debug page',
      'control-channel in Redis’ MONITOR',
      'control-id in answers',
      'control-argument in command lines',
      'outcome="signature" in metrics',
    ]),
  );
  // With an endless memory for tests: the latest 2,000 lines of each service are all that it wrote.
  expect(Math.max(edge.output.length, ingest.output.length, tlsEdge.output.length)).toBeLessThan(
    2_000,
  );
}, 120_000);
