import { expect, it } from 'vitest';
import { readMeta } from './channel-meta.ts';

it('reads a position', () => {
  expect(readMeta('k3x9:131')).toEqual({ epoch: 'k3x9', offset: 131 });
  expect(readMeta('A:0')).toEqual({ epoch: 'A', offset: 0 });
  expect(readMeta('a:9007199254740991')).toEqual({ epoch: 'a', offset: Number.MAX_SAFE_INTEGER });
});

it.each([
  null,
  '',
  ':',
  'a',
  'a:',
  ':1',
  '1',
  'a:1:2',
  'a:-1',
  'a:1.5',
  'a:9007199254740992',
  'ä:1',
])('takes %j for none', (value) => expect(readMeta(value)).toBeUndefined());
