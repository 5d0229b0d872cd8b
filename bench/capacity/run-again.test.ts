import { describe, expect, it } from 'vitest';
import { goodOutcome } from './outcome.fixture.ts';
import { runAgainCommand, variablesOf } from './run-again.ts';
import { readCapacitySettings } from './settings.ts';

function read(args: readonly string[], environment: Record<string, string>) {
  return readCapacitySettings(args, environment, undefined, '/tmp');
}

describe('runAgainCommand', () => {
  it('names what differs from the defaults, and what the machine decided', () => {
    const settings = read([], { TARGET_CONNECTIONS: '500', DURATION: '10', EDGE_WRITES: 'a b' });
    expect(runAgainCommand(settings)).toBe(
      "TARGET_CONNECTIONS=500 DURATION=10 LOAD_PROCESSES=1 EDGES=1 EDGE_WRITES='a b' npm run capacity",
    );
    expect(runAgainCommand(read(['high'], {}))).toMatch(
      /^LOAD_PROCESSES=\d+ EDGES=\d+ npm run capacity -- high$/,
    );
  });

  it('makes the same settings again', () => {
    const settings = read(['ultimate'], {
      TARGET_CONNECTIONS: '30000',
      SUBSCRIPTION_MODE: 'all',
      HISTORY_SIZE: '100',
      WIRE: 'v2',
      SLOW_SHARE: '0.1',
      STALLED_SHARE: '.05',
      SEED: '7',
      MIN_SUCCESS_RATE: '98',
      MAX_P99_MS: '250',
      SAMPLE_EVERY: '5',
      PAYLOAD_BYTES: '500',
      EDGES: '3',
      EDGE_QUEUE_SLOTS: '64',
    });
    expect(read(['ultimate'], variablesOf(settings))).toEqual(settings);
  });

  it('holds no password', () => {
    const command = runAgainCommand(goodOutcome().settings);
    expect(command).toContain('TARGET_URLS=ws://edge.example:8080/ws');
    expect(command).not.toContain('hunter2');
  });
});
