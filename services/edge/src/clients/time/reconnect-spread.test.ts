import { expect, it } from 'vitest';
import { reconnectSpreadMs } from './reconnect-spread.ts';

it('spreads the clients of a node so that 8,000 come back in a second', () => {
  expect([0, 1, 8_000, 40_000].map(reconnectSpreadMs)).toEqual([1, 1, 1_000, 5_000]);
});
