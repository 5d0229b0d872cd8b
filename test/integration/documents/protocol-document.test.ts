import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { TestClient } from '../../support/clients/client.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const DOCUMENT = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');

const HANDSHAKE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
};

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: { readonly error?: { readonly code?: string } };
}

/** Returns an edge's answer over HTTP. */
function ask(url: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, (response) => {
      let text = '';
      response.on('data', (data) => {
        text += data;
      });
      response.on('end', () => {
        const { statusCode: status, headers } = response;
        resolve({ status, headers, body: JSON.parse(text) });
      });
    });
    sent.on('upgrade', (_response, socket) => {
      socket.destroy();
      reject(new Error('it was upgraded'));
    });
    sent.on('error', reject);
    sent.end();
  });
}

function lists(status: number, code: string): boolean {
  const row = new RegExp(`^\\| ${status} \\|[^|]*\`${code}\``, 'm');
  return row.test(DOCUMENT);
}

it('an edge refuses handshakes, greets and closes as docs/protocol.md says', async () => {
  await using tier = await startTier({ edges: 1, env: { WS_MAX_CONNECTIONS: '2' } });
  const [edge] = tier.edges;
  const url = `${edge!.url}/ws`;
  const withoutKey = { ...HANDSHAKE, 'sec-websocket-key': 'short' };
  const refusals = [
    { code: 'bad_handshake', status: 400, answer: await ask(url, withoutKey) },
    {
      ...{ code: 'unsupported_protocol', status: 400 },
      answer: await ask(url, { ...HANDSHAKE, 'sec-websocket-protocol': 'graphql-ws' }),
    },
    { code: 'not_found', status: 404, answer: await ask(`${edge!.url}/other`, HANDSHAKE) },
    { code: 'upgrade_required', status: 426, answer: await ask(url, {}) },
    {
      ...{ code: 'unsupported_version', status: 426 },
      answer: await ask(url, { ...HANDSHAKE, 'sec-websocket-version': '8' }),
    },
  ];
  await using client = await TestClient.connect(edge!.wsUrl);
  await using other = await TestClient.connect(edge!.wsUrl);
  await eventually(async () => (await ask(url, HANDSHAKE)).status === 503);
  refusals.push({ code: 'node_full', status: 503, answer: await ask(url, HANDSHAKE) });
  for (const { code, status, answer } of refusals) {
    expect(answer, code).toMatchObject({ status, body: { error: { code } } });
    expect(lists(status, code), `${status} ${code}`).toBe(true);
    const isLater = status === 503;
    expect(answer.headers['retry-after'] !== undefined, code).toBe(isLater);
  }

  const { type, index, heartbeat, limits, reconnect, ...fields } =
    client.welcome as typeof client.welcome & {
      readonly index: number;
    };
  const names = [
    ...Object.keys(fields),
    ...Object.keys(heartbeat).map((name) => `heartbeat.${name}`),
    ...Object.keys(limits).map((name) => `limits.${name}`),
    ...Object.keys(reconnect).map((name) => `reconnect.${name}`),
  ];
  for (const name of names) expect(DOCUMENT).toContain(`\n| \`${name}\` | `);

  client.sendText('x'.repeat(limits.maxMessageBytes + 1));
  expect(await client.closed).toEqual({ code: 1009, reason: '' });
  edge!.signal('SIGTERM');
  expect(await other.closed).toEqual({ code: 1012, reason: 'draining' });
});

it('an edge declines compression, and uses its subprotocol if none is requested', async () => {
  await using tier = await startTier({ edges: 1 });
  const socket = new WebSocket(tier.edges[0]!.wsUrl, { perMessageDeflate: true });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  expect(socket.extensions).toBe('');
  socket.terminate();
  const spoken = await TestClient.connect(tier.edges[0]!.wsUrl);
  expect(spoken.welcome.protocol).toBe('tradewind.v1.json');
  await spoken.terminate();
});
