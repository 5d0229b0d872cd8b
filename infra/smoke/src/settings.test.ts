import { expect, it } from 'vitest';
import { documentedCommands } from '../../../test/support/documents/document-commands.ts';
import { readSmokeSettings } from './settings.ts';

it('reads the addresses, and stays idle for 90 s by default', () => {
  expect(readSmokeSettings(['wss://ws.test/ws', '--ingest', 'https://in.test/'])).toMatchObject({
    ingestUrl: 'https://in.test',
    token: undefined,
    clientToken: undefined,
    origin: undefined,
    idleSeconds: 90,
    nodes: 1,
    drainSeconds: 0,
  });
});

it.each([
  [[], 'name a WebSocket URL'],
  [['ws://a', 'http://b', '--ingest', 'https://b'], '"http://b" is not a ws:// or wss:// URL'],
  [['https://a', '--ingest', 'https://b'], '"https://a" is not a ws:// or wss:// URL'],
  [['wss://a'], '"" is not a http:// or https:// URL'],
  [
    ['wss://a', '--ingest', 'https://b', '--idle-seconds', '1.5'],
    '--idle-seconds must be an integer',
  ],
  [['wss://a', '--ingest', 'https://b', '--token-file', '/nowhere'], '--token-file: ENOENT'],
  [
    ['wss://a', '--ingest', 'https://b', '--client-token-file', '/nowhere'],
    '--client-token-file: ENOENT',
  ],
] as const)('refuses %j', (args, message) => {
  expect(() => readSmokeSettings(args)).toThrow(message);
});

it('takes every edge where there is no balancer, and expects a node for each', () => {
  const edges = ['ws://a/ws', 'ws://b/ws', 'ws://c/ws'];
  const { webSocketUrls, nodes } = readSmokeSettings([...edges, '--ingest', 'http://in']);
  expect(webSocketUrls.map(String)).toEqual(edges);
  expect(nodes).toBe(3);
});

it.each(documentedCommands('npm run smoke'))('reads what $document says: $text', ({ args }) => {
  expect(() => readSmokeSettings(args)).not.toThrow();
});
