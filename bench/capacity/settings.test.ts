import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { documentedCommands } from '../../test/support/documents/document-commands.ts';
import { PRESETS } from './presets.ts';
import { type CapacitySettings, readCapacitySettings } from './settings.ts';

function read(
  env: Record<string, string> = {},
  args: readonly string[] = [],
  openFiles: number | undefined = 20_000,
): CapacitySettings {
  return readCapacitySettings(args, env, openFiles, '/home/me');
}

function mistakesOf(...given: Parameters<typeof read>): string {
  try {
    read(...given);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes.join('\n');
    throw error;
  }
  return 'none';
}

describe('readCapacitySettings', () => {
  it.each([
    ['stability', 7_000, 'all'],
    ['realistic', 7_000, 'random'],
    ['high', 15_000, 'random'],
    ['ultimate', 40_000, 'random'],
  ])('%s opens %d clients, %s', (name, connections, mode) => {
    expect(read({}, [name])).toMatchObject({ name, connections, mode, channelsPerClient: 1 });
  });

  it('every preset gives each client at least half a publication a second', () => {
    for (const { mode, channels, channelsPerClient, publishRate } of Object.values(PRESETS)) {
      const heldChannels = mode === 'all' ? channels : channelsPerClient;
      expect((publishRate * heldChannels) / channels).toBeGreaterThanOrEqual(0.5);
    }
  });

  it('starts as many edges and load processes as the clients need', () => {
    const { target, connectionsPerProcess } = read({}, ['ultimate']);
    expect(target).toEqual({ kind: 'local', edges: 3, environment: {} });
    expect(connectionsPerProcess).toBe(13_334);
  });

  it('reads tokens of clients, and names their file when it cannot', () => {
    const folder = mkdtempSync(join(tmpdir(), 'capacity-settings-'));
    try {
      const TOKEN_FILE = join(folder, 'tokens');
      writeFileSync(TOKEN_FILE, 'aa.bb.cc\ndd.ee.ff\n');
      expect(read({ TOKEN_FILE }).tokens).toEqual(['aa.bb.cc', 'dd.ee.ff']);
      expect(read().tokens).toEqual([]);
      expect(mistakesOf({ TOKEN_FILE: '/nowhere' })).toContain('TOKEN_FILE: the file "/nowhere"');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('prefers the environment to the preset, and passes EDGE_ variables on', () => {
    const env = { TARGET_CONNECTIONS: '12', CHANNELS: '2', EDGE_WORKERS: '2', EDGES: '4' };
    const settings = read({ ...env, RESULTS_DIR: 'out' }, ['high']);
    expect(settings).toMatchObject({
      connections: 12,
      duration: 300,
      resultsFolder: '/home/me/out',
    });
    expect(settings.channelNames).toEqual(['capacity.0', 'capacity.1']);
    expect(settings.target).toEqual({
      kind: 'local',
      edges: 4,
      environment: { EDGE_WORKERS: '2' },
    });
  });

  it('accepts a deployment that runs elsewhere', () => {
    const env = { TARGET_URLS: 'ws://a:1/ws, ws://b:2/ws', REDIS_URL: 'redis://r:6379' };
    expect(read(env).target).toEqual({
      kind: 'remote',
      urls: ['ws://a:1/ws', 'ws://b:2/ws'],
      redisUrl: 'redis://r:6379',
    });
  });

  it('accepts ws:// and wss:// URLs, with or without a port', () => {
    const urls = ['ws://a/ws', 'wss://b/ws?c=d', 'wss://[::1]:8443/ws'];
    const env = { TARGET_URLS: urls.join(','), REDIS_URL: 'redis://r:6379' };
    expect(read(env).target).toMatchObject({ urls });
  });

  it('reports all mistakes at once', () => {
    const mistakes = mistakesOf(
      {
        TARGET_CONNECTIONS: 'many',
        SUBSCRIPTION_MODE: 'some',
        PAYLOAD_BYTES: '3',
        SLOW_SHARE: '2',
        TARGET_URLS: 'http://a',
        EDGES: '2',
        CHANNEL_PREFIX: 'not a name',
      },
      ['gigantic'],
    );
    for (const name of [
      'preset: "gigantic"',
      'TARGET_CONNECTIONS: "many"',
      'SUBSCRIPTION_MODE: "some"',
      'PAYLOAD_BYTES: "3"',
      'SLOW_SHARE: "2"',
      'TARGET_URLS: "http://a"',
      'EDGES: ',
      'REDIS_URL: ',
      'CHANNEL_PREFIX: "not a name"',
    ]) {
      expect(mistakes).toContain(name);
    }
  });

  it.each([
    [{ SLOW_SHARE: '0.5', STALLED_SHARE: '0.5' }, 'no client that reads steadily'],
    [{ CHANNELS_PER_CLIENT: '6' }, 'more than CHANNELS, 5'],
    [
      { TARGET_CONNECTIONS: '40000', EDGES: '2' },
      'EDGES: a process may open 20000 files here: at least 3',
    ],
    [
      { TARGET_CONNECTIONS: '40000', LOAD_PROCESSES: '1' },
      'LOAD_PROCESSES: a process may open 20000',
    ],
    [
      { TARGET_URLS: 'https://a/ws', REDIS_URL: 'redis://r' },
      '"https://a/ws" must be like ws://host:8080/ws or wss://host/ws',
    ],
    [
      { TARGET_URLS: 'ws://a/ws', REDIS_URL: 'redis://:secret@r:' },
      'REDIS_URL: has a colon and no port behind it',
    ],
  ])('refuses %j', (env, message) => {
    expect(mistakesOf(env)).toContain(message);
  });
});

it.each(documentedCommands('npm run capacity').filter(({ args }) => !args.includes('--help')))(
  'reads what $document says: $text',
  ({ args, environment }) => {
    expect(mistakesOf({ ...environment }, args, undefined)).toBe('none');
  },
);
