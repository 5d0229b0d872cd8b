import { describe, expect, it } from 'vitest';
import { continuedArguments, parseReplayArguments, UsageError } from './arguments.ts';

describe('parseReplayArguments', () => {
  const usual = {
    file: 'f',
    pace: { kind: 'own', speed: 1 },
    to: undefined,
    runId: undefined,
    fromLine: 1,
  };

  it.each([
    [['f'], {}],
    [['f', '--speed', '2.5'], { pace: { kind: 'own', speed: 2.5 } }],
    [['--rate', '100/s', 'f'], { pace: { kind: 'rate', perSecond: 100 } }],
    [
      ['f', '--rate=5', '--to', 'http://h:1'],
      { pace: { kind: 'rate', perSecond: 5 }, to: 'http://h:1' },
    ],
    [['f', '--run-id', 'r-1'], { runId: 'r-1' }],
    [['f', '--from-line', '301'], { fromLine: 301 }],
  ])('%j', (args, expected) => {
    expect(parseReplayArguments(args)).toEqual({ ...usual, ...expected });
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
    [['f', '--from-line', '0']],
    [['f', '--from-line', '1.5']],
    [['f', '--from-line', '9'.repeat(16)]],
    [['f', '--unknown']],
  ])('means nothing: %j', (args) => {
    expect(() => parseReplayArguments(args)).toThrow(UsageError);
  });
});

describe('continuedArguments', () => {
  it.each([
    [['f'], ['f']],
    [
      ['--speed', '2', 'f', '--to=http://h:1'],
      ['--speed', '2', 'f', '--to=http://h:1'],
    ],
    [
      ['--run-id', 'old', 'f', '--from-line=3', '--rate', '9'],
      ['f', '--rate', '9'],
    ],
    [
      ['--from-line', '3', '--from-line', '4', '--', '--run-id'],
      ['--', '--run-id'],
    ],
  ])('replaces the run and the line in %j, and nothing else', (args, kept) => {
    const continued = continuedArguments(args, 'r', 7);
    expect(continued).toEqual(['--run-id', 'r', '--from-line', '7', ...kept]);
    const asked = { ...parseReplayArguments(args), runId: 'r', fromLine: 7 };
    expect(parseReplayArguments(continued)).toEqual(asked);
  });
});
