import { expect, it } from 'vitest';
import { readConfig } from './environment.ts';
import { unknownVariables } from './unknown-variables.ts';

const KNOWN = ['EDGE_WORKERS', 'EDGE_MAX_CHANNELS', 'EDGE_MAX_CHANNELS_PER_CLIENT', 'REDIS_URL'];

function unknown(...names: string[]) {
  const environment = Object.fromEntries(names.map((name) => [name, '1']));
  return unknownVariables(environment, ['EDGE_', 'WS_', 'REDIS_'], KNOWN);
}

it.each([
  ['EDGE_WORKER', 'EDGE_WORKERS'],
  ['EDGE_WROKERS', 'EDGE_WORKERS'],
  ['EDGE_MAX_CHANELS', 'EDGE_MAX_CHANNELS'],
  ['EDGE_MAX_CHANNELS_PER_CLIENTS', 'EDGE_MAX_CHANNELS_PER_CLIENT'],
  ['REDIS_URI', 'REDIS_URL'],
  ['REDIS_HOST', undefined],
  ['EDGE_FRAMES_PER_FLUSH', undefined],
])('takes %s for %s', (name, nearest) => {
  expect(unknown(name)).toEqual([{ name, nearest }]);
});

it('ignores settings, names that do not begin like ours, and variables that others set', () => {
  const kubernetes = ['REDIS_SERVICE_HOST', 'REDIS_SERVICE_PORT_TLS', 'REDIS_PORT_6379_TCP_ADDR'];
  expect(unknown(...KNOWN, ...kubernetes, 'WS_NO_BUFFER_UTIL', 'PATH', 'INGEST_TOKEN')).toEqual([]);
  const linked = unknownVariables({ REDIS_PORT: 'tcp://10.0.0.1:6379' }, ['REDIS_'], KNOWN);
  expect(linked).toEqual([]);
  expect(unknown('REDIS_PORT'), 'control: a port').toHaveLength(1);
});

it('knows the variables that a reader has read, whether they were set or not', () => {
  const environment = { EDGE_A: '1', EDGE_AB: '2', OTHER: '3' };
  const config = readConfig(environment, (reader) => ({
    a: reader.string('EDGE_A', { default: '' }),
    b: reader.string('EDGE_B', { default: '' }),
    unknown: reader.unknown(['EDGE_']),
  }));
  expect(config.unknown).toEqual([{ name: 'EDGE_AB', nearest: 'EDGE_A' }]);
});
