import { join } from 'node:path';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { describe, expect, it } from 'vitest';
import { documentedCommands } from '../../test/support/documents/document-commands.ts';
import { COMMANDS, readBenchArguments } from './arguments.ts';

describe('readBenchArguments', () => {
  it.each(COMMANDS)('knows %s, and leaves missing options to the command', (command) => {
    expect(readBenchArguments([command])).toEqual({
      command,
      seconds: undefined,
      pairs: undefined,
      clients: undefined,
      payloadBytes: undefined,
      against: undefined,
      workers: undefined,
      phases: undefined,
      quick: false,
      short: false,
    });
  });

  it('reads every option', () => {
    const line =
      'saturation --seconds 5 --pairs 3 --clients 200 --payload 150 --against bun,ws-shared --workers 3 --quick';
    expect(readBenchArguments(line.split(' '))).toEqual({
      command: 'saturation',
      seconds: 5,
      pairs: 3,
      clients: 200,
      payloadBytes: 150,
      against: ['bun', 'ws-shared'],
      workers: 3,
      phases: undefined,
      quick: true,
      short: false,
    });
  });

  it('resolves another checkout from the folder in which npm was called', () => {
    const root = WORKSPACE_ROOT.replace(/\/$/, '');
    expect(
      readBenchArguments(['wide', '--against', 'bun,edge@../..'], join(root, 'bench/compare')),
    ).toMatchObject({ against: ['bun', `edge@${root}`] });
    expect(readBenchArguments(['memory', '--short', '--against', `edge@${root}`])).toMatchObject({
      against: [`edge@${root}`],
      short: true,
    });
  });

  it('says which checkout cannot be used, why, and which can', () => {
    expect(() =>
      readBenchArguments(['saturation', '--against', 'edge@nowhere'], '/home/ada'),
    ).toThrow(
      '--against edge@nowhere: /home/ada/nowhere is no folder; ' +
        'PATH in edge@PATH must be the root folder of an installed checkout of this project',
    );
  });

  it('reads the options of memory', () => {
    const line = 'memory --clients 15000 --seconds 75 --pairs 5 --payload 15000';
    expect(readBenchArguments(line.split(' '))).toMatchObject({
      command: 'memory',
      clients: 15_000,
      seconds: 75,
      pairs: 5,
      payloadBytes: 15_000,
    });
  });

  it('reads the phases of console', () => {
    const line = 'console --seconds 1800 --phases memory';
    expect(readBenchArguments(line.split(' '))).toMatchObject({
      seconds: 1_800,
      phases: ['memory'],
    });
  });

  it.each([
    ['', 'which command?'],
    ['console --phases idle', '--phases: there is no phase idle'],
    ['wide --phases memory', '--phases: wide has none'],
    ['fly', 'there is no command fly'],
    ['wide wide', 'one command too many'],
    ['wide --pairs 0', '--pairs must be a whole number'],
    ['wide --seconds 1.5', '--seconds must be a whole number'],
    ['memory --clients 19001', '--clients must be a whole number from 1 to 19000'],
    ['wide --payload 8', '--payload must be a whole number from 32'],
    ['wide --against edge', 'there is no opponent edge'],
    ['wide --against edge@', 'is no folder'],
    ['memory --against bun', '--against: memory takes edge@PATH alone, not bun'],
    ['overload --against bun', '--against: overload has no opponents'],
    ['wide --short', '--short: only saturation, predecessor, memory, safety'],
    ['memory --short --quick', '--short and --quick: only one of them'],
    ['wide --speed 3', "'--speed'"],
  ])('names the mistake in "%s"', (line, message) => {
    expect(() => readBenchArguments(line.split(' ').filter(Boolean))).toThrow(message);
  });
});

it.each(documentedCommands('npm run bench'))('reads what $document says: $text', ({ args }) => {
  expect(() => readBenchArguments(args)).not.toThrow();
});
