import { describe, expect, it } from 'vitest';
import { COMMANDS, readBenchArguments } from './arguments.ts';

describe('readBenchArguments', () => {
  it.each(COMMANDS)('knows %s, and leaves what was not asked for to the command', (command) => {
    expect(readBenchArguments([command])).toEqual({
      command,
      seconds: undefined,
      pairs: undefined,
      clients: undefined,
      payloadBytes: undefined,
      against: undefined,
      workers: undefined,
      quick: false,
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
      quick: true,
    });
  });

  it('reads what memory takes', () => {
    const line = 'memory --clients 15000 --seconds 75 --pairs 5 --payload 15000';
    expect(readBenchArguments(line.split(' '))).toMatchObject({
      command: 'memory',
      clients: 15_000,
      seconds: 75,
      pairs: 5,
      payloadBytes: 15_000,
    });
  });

  it.each([
    ['', 'which command?'],
    ['fly', 'there is no command fly'],
    ['wide wide', 'one command too many'],
    ['wide --pairs 0', '--pairs must be a whole number'],
    ['wide --seconds 1.5', '--seconds must be a whole number'],
    ['memory --clients 19001', '--clients must be a whole number from 1 to 19000'],
    ['wide --payload 8', '--payload must be a whole number from 32'],
    ['wide --against edge', 'there is no opponent edge'],
    ['wide --speed 3', "'--speed'"],
  ])('says what is wrong with "%s"', (line, message) => {
    expect(() => readBenchArguments(line.split(' ').filter(Boolean))).toThrow(message);
  });
});
