import { expect, it } from 'vitest';
import { rateOf } from './channel-table.tsx';

it('shows no rate of a channel whose trade came before the edge began to count', () => {
  expect(rateOf({ rate: 0, ageMs: 100 })).toBe('–');
});

it('control: shows what was counted, and 0 where nothing has come', () => {
  expect(rateOf({ rate: 6.5, ageMs: 100 })).toBe('6.50');
  expect(rateOf({ rate: 0, ageMs: 60_000 })).toBe('0');
  expect(rateOf({ rate: 0, ageMs: -1 })).toBe('0');
});
