import { afterEach, expect, it, vi } from 'vitest';
import { sessionPositions } from './session-positions.ts';

afterEach(() => vi.unstubAllGlobals());

function fakeStorage(saved?: string) {
  const entries = new Map<string, string>(
    saved === undefined ? [] : [['tradewind.positions', saved]],
  );
  return {
    getItem: (key: string) => entries.get(key) ?? null,
    setItem: (key: string, value: string) => void entries.set(key, value),
    entries,
  };
}

it('keeps positions over a reload', () => {
  vi.stubGlobal('sessionStorage', fakeStorage());
  sessionPositions().save(new Map([['c', { epoch: 'e', offset: 7 }]]));
  expect(sessionPositions().load('c')).toEqual({ epoch: 'e', offset: 7 });
  sessionPositions().save(new Map([['c', undefined]]));
  expect(sessionPositions().load('c')).toBeUndefined();
});

it.each(['{', '{}', '[1,["c"],["d",{"epoch":1,"offset":2}]]'])('reads nothing of %s', (saved) => {
  vi.stubGlobal('sessionStorage', fakeStorage(saved));
  expect(sessionPositions().load('d')).toBeUndefined();
});

it('keeps them in memory where there is no storage', () => {
  vi.stubGlobal('sessionStorage', {
    getItem: () => null,
    setItem: () => {
      throw new Error('full');
    },
  });
  const positions = sessionPositions();
  positions.save(new Map([['c', { epoch: 'e', offset: 7 }]]));
  expect(positions.load('c')).toEqual({ epoch: 'e', offset: 7 });
});

it('is bounded', () => {
  const storage = fakeStorage();
  vi.stubGlobal('sessionStorage', storage);
  const positions = sessionPositions();
  for (let i = 0; i < 1_100; i += 1)
    positions.save(new Map([[`c${i}`, { epoch: 'e', offset: i }]]));
  expect(positions.load('c99')).toBeUndefined();
  expect(positions.load('c100')).toBeDefined();
});
