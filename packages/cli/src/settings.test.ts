import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { documentedCommands } from '../../../test/support/documents/document-commands.ts';
import { readCommand, UsageError, VERSION } from './settings.ts';

describe('readCommand', () => {
  it('takes Redis from the option, then from REDIS_URL', () => {
    const environment = { REDIS_URL: 'redis://environment:1' };
    const urlOf = (...args: string[]): string => {
      const command = readCommand(['channel', 'a', ...args], environment);
      return command.name === 'channel' ? command.settings.redisUrl : '';
    };
    expect(urlOf()).toBe('redis://environment:1');
    expect(urlOf('--redis', 'rediss://option:2')).toBe('rediss://option:2');
    expect(readCommand(['channel', 'a'], {})).toMatchObject({
      settings: { redisUrl: 'redis://127.0.0.1:6379' },
    });
  });

  it('reads the payload from the input where none, or -, is named', () => {
    const payloadOf = (...args: string[]) => readCommand(['pub', 'a', ...args], {});
    expect(payloadOf()).toMatchObject({ settings: { payload: undefined } });
    expect(payloadOf('-')).toMatchObject({ settings: { payload: undefined } });
    expect(payloadOf('{}')).toMatchObject({ settings: { payload: '{}', history: 1_000 } });
  });

  it('reads a position as pub prints it', () => {
    expect(readCommand(['sub', 'a', '--since', 'k3x9:17', '--count', '2'], {})).toMatchObject({
      settings: { channels: ['a'], since: { epoch: 'k3x9', offset: 17 }, count: 2 },
    });
  });

  it('reads how often the latest is wanted', () => {
    expect(readCommand(['sub', 'a', '--latest', '250'], {})).toMatchObject({
      settings: { latest: { everyMs: 250 } },
    });
    expect(readCommand(['sub', 'a'], {})).toMatchObject({ settings: { latest: undefined } });
  });

  it('takes a balancer, or each edge where there is none', () => {
    const edgesOf = (...args: string[]) => {
      const command = readCommand(['check', ...args], {});
      return command.name === 'check' ? command.settings.edgeUrls.map(String) : [];
    };
    expect(edgesOf()).toEqual(['ws://127.0.0.1:8080/ws']);
    expect(edgesOf('--edge', 'ws://a:1/ws', '--edge=wss://b/ws')).toEqual([
      'ws://a:1/ws',
      'wss://b/ws',
    ]);
  });

  it('knows its version', () => {
    expect(readCommand(['--version'], {})).toEqual({ name: 'version' });
    const { version } = JSON.parse(
      readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
    );
    expect(VERSION).toBe(version);
  });

  it('shows the help without a command, and wherever it is asked for', () => {
    for (const args of [[], ['--help'], ['help'], ['pub', '--help']])
      expect(readCommand(args, {})).toEqual({ name: 'help' });
  });

  it.each([
    [['publish', 'a'], 'publish'],
    [['pub'], 'names'],
    [['pub', 'a', 'b', 'c'], 'names'],
    [['pub', 'a', '--keys', 'k'], '--keys'],
    [['pub', 'a', '--lines', '--key', 'k'], '--key'],
    [['pub', 'a', 'payload', '--lines'], '--lines'],
    [['pub', 'a', '--history', '1.5'], '--history'],
    [['sub'], 'names'],
    [['sub', 'a', '--since', '17'], 'EPOCH:OFFSET'],
    [['sub', 'a', '--since', 'k:99999999999999999'], 'EPOCH:OFFSET'],
    [['sub', 'a', 'b', '--since', 'k:1'], '--since'],
    [['sub', 'a', '--count', '0'], '--count'],
    [['sub', 'a', '--latest', '249'], '--latest'],
    [['channel', 'a', '--redis', 'http://x'], 'redis:'],
    [['check', '--edge', 'https://x'], 'ws:'],
    [['check', '--edge', 'ws://a/ws', '--edge', 'https://x'], 'ws:'],
    [['check', '--token-file', '/nowhere'], '--token-file'],
    [['migrate', '--from', 'redis://a'], '--to'],
    [
      ['migrate', '--from', 'redis://a', '--to', 'redis://b', '--to-google'].concat(
        '--to-password-file',
        '/nowhere',
      ),
      '--to-google',
    ],
  ])('refuses %j', (args, text) => {
    expect(() => readCommand(args, {})).toThrow(UsageError);
    expect(() => readCommand(args, {})).toThrow(text);
  });

  it('does not repeat a URL, which may hold a password', () => {
    const args = ['channel', 'a', '--redis', 'http://user:secret@x'];
    expect(() => readCommand(args, {})).toThrow(/^(?!.*secret)/);
  });
});

it.each(documentedCommands('npx tradewind'))('reads what $document says: $text', ({ args }) => {
  expect(() => readCommand(args, {})).not.toThrow();
});
