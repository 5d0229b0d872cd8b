import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRedis, type TestRedis } from '../../support/redis/redis.ts';
import { startEdge, startIngest, untilLinked } from '../../support/services/service.ts';

const ROOT = new URL('../../../', import.meta.url);
const DOCUMENT = readFileSync(new URL('docs/http.md', ROOT), 'utf8');

/** Source files that name routes as paths in quotes. */
const SOURCES = [
  'packages/runtime/src/admin.ts',
  'services/edge/src/node/sessions-route.ts',
  'services/edge/src/node/shed.ts',
  'services/ingest/src/http/revocation-routes.ts',
  'services/ingest/src/http/routes.ts',
] as const;

const SECTIONS = [
  'Ingest, public port',
  'Ingest, admin port',
  'Edge, public port',
  'Edge, admin port',
] as const;
type Section = (typeof SECTIONS)[number];

interface Example {
  readonly section: Section;
  readonly line: string;
  readonly headers: readonly string[];
  readonly body: string;
  readonly answer: string;
}

const ports = new Map<Section, number>();
let redis: TestRedis;
const services = new AsyncDisposableStack();

beforeAll(async () => {
  redis = services.use(await startRedis());
  const common = { REDIS_URL: redis.url, ADMIN_TOKEN: 'an-admin-token' };
  const ingest = services.use(await startIngest({ ...common, INGEST_TOKENS: 'a-token' }));
  const edge = services.use(await startEdge({ ...common, EDGE_WORKERS: '1' }));
  await Promise.all([untilLinked(ingest), untilLinked(edge)]);
  ports.set('Ingest, public port', ingest.port);
  ports.set('Ingest, admin port', Number(new URL(ingest.adminUrl).port));
  ports.set('Edge, public port', edge.port);
  ports.set('Edge, admin port', Number(new URL(edge.adminUrl).port));
});
afterAll(() => services.disposeAsync());

describe('docs/http.md', () => {
  it('names every route', () => {
    const paths = SOURCES.flatMap((source) => {
      const text = readFileSync(new URL(source, ROOT), 'utf8');
      return [...text.matchAll(/'(\/[a-z0-9/]+)(\*?)'/g)].map(([, path]) => path as string);
    });
    expect(paths.length).toBeGreaterThan(8);
    for (const path of [...paths, '/ws']) {
      expect(DOCUMENT).toMatch(new RegExp(`### \`(GET|POST) ${path}(<channel>|<sub>/[a-z]+)?\``));
    }
  });

  it.each(SECTIONS.flatMap(examplesOf))('$section: $line', async (example) => {
    const { section, line, headers, body, answer } = example;
    const [head = '', content = ''] = answer.split('\n\n');
    const [status = '', ...expected] = head.split('\n');
    const received = await exchange(ports.get(section) as number, { line, headers, body }, status);
    expect(received.split('\r\n')[0]).toBe(status);
    const [receivedHead = '', receivedBody = ''] = received.split('\r\n\r\n');
    const lines = receivedHead.split('\r\n').map(withLowerCaseName);
    for (const header of expected)
      expect(lines).toContainEqual(expect.stringMatching(patternOf(header)));
    if (content !== '') expect(receivedBody).toMatch(patternOf(content));
  });
});

/** Sends a request of the document; returns the whole answer. */
async function exchange(
  port: number,
  { line, headers, body }: Pick<Example, 'line' | 'headers' | 'body'>,
  status: string,
): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const length = body === '' ? [] : [`content-length: ${Buffer.byteLength(body)}`];
  const upgrades = headers.some((header) => header.startsWith('upgrade:'));
  const close = upgrades ? [] : ['connection: close'];
  const all = [`${line} HTTP/1.1`, 'host: localhost', ...headers, ...close, ...length];
  socket.write(`${all.join('\r\n')}\r\n\r\n${body}`);
  let answer = '';
  for await (const chunk of socket) {
    answer += String(chunk);
    if (status.includes(' 101 ') && answer.includes('\r\n\r\n')) break;
  }
  return answer;
}

function examplesOf(section: Section): readonly Example[] {
  const body = DOCUMENT.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? '';
  const blocks = [...body.matchAll(/^```http\n(.*?)\n```$/gms)].map(([, block]) => block as string);
  const examples: Example[] = [];
  for (let at = 0; at + 1 < blocks.length; at += 2) {
    const [head = '', content = ''] = (blocks[at] as string).split('\n\n');
    const [line = '', ...headers] = head.split('\n');
    examples.push({ section, line, headers, body: content, answer: blocks[at + 1] as string });
  }
  return examples;
}

function withLowerCaseName(header: string): string {
  return header.replace(/^[^:]+/, (name) => name.toLowerCase());
}

/** Makes a pattern of the document's text, in which `…` matches anything. At a line's end it matches the rest. */
function patternOf(written: string): RegExp {
  const parts = written.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}\n?$`, 's');
}
