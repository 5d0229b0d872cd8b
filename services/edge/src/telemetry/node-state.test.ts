import { expect, it } from 'vitest';
import { shardsOf } from './node-state.ts';

it('names the shards that are away in one order, whatever the order of the links', () => {
  const away = ['10.0.0.7:6379', '10.0.0.5:6379'];
  expect(shardsOf({ all: 3, up: 1, away })).toEqual({
    all: 3,
    away: 2,
    names: ['10.0.0.5:6379', '10.0.0.7:6379'],
  });
});
