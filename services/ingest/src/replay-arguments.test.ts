import { describe, expect, it } from 'vitest';
import { parseReplayArguments, UsageError } from './replay-arguments.ts';

describe('parseReplayArguments', () => {
  it.each([
    [['f'], { file: 'f', pace: { kind: 'own', speed: 1 }, to: undefined, runId: undefined }],
    [
      ['f', '--speed', '2.5'],
      { file: 'f', pace: { kind: 'own', speed: 2.5 }, to: undefined, runId: undefined },
    ],
    [
      ['--rate', '100/s', 'f'],
      { file: 'f', pace: { kind: 'rate', perSecond: 100 }, to: undefined, runId: undefined },
    ],
    [
      ['f', '--rate=5', '--to', 'http://h:1'],
      { file: 'f', pace: { kind: 'rate', perSecond: 5 }, to: 'http://h:1', runId: undefined },
    ],
    [
      ['f', '--run-id', 'r-1'],
      { file: 'f', pace: { kind: 'own', speed: 1 }, to: undefined, runId: 'r-1' },
    ],
  ])('%j', (args, expected) => {
    expect(parseReplayArguments(args)).toEqual(expected);
  });

  it.each([
    [[]],
    [['a', 'b']],
    [['f', '--speed']],
    [['f', '--speed', '0']],
    [['f', '--speed', '-1']],
    [['f', '--rate', 'fast']],
    [['f', '--rate', '1e3']],
    [['f', '--rate', '1', '--speed', '1']],
    [['f', '--to', 'redis://h']],
    [['f', '--to', 'nowhere']],
    [['f', '--run-id', 'a b']],
    [['f', '--run-id', '']],
    [['f', '--unknown']],
  ])('means nothing: %j', (args) => {
    expect(() => parseReplayArguments(args)).toThrow(UsageError);
  });
});
