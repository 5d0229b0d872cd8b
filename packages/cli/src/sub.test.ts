import { expect, it } from 'vitest';
import { keepNumbers } from './keep-numbers.ts';
import type { SubSettings } from './settings.ts';
import { followChannels, lineOf } from './sub.ts';

const TS = Date.UTC(2026, 10, 30, 12, 34, 56, 789);

it('prints what came, and what was lost, as lines', () => {
  const base = { kind: 'publication', channel: 'a', ts: TS, replayed: false } as const;
  const items = [
    { ...base, offset: 17, data: { price: '1.10' } },
    { ...base, data: 'text' },
    { ...base, offset: 30, skipped: 12, data: 1 },
    { kind: 'gap', channel: 'a', epoch: 'k', from: 18, to: 20, lost: 3, reason: 'slow' },
    { kind: 'gap', channel: 'a', reason: 'link' },
    { kind: 'resync', channel: 'a', epoch: 'm', offset: 0, reason: 'history_lost' },
    { kind: 'recovered', channel: 'a', epoch: 'm', offset: 7 },
  ] as const;
  expect(items.map(lineOf)).toEqual([
    'a 17 12:34:56.789 {"price":"1.10"}',
    'a - 12:34:56.789 "text"',
    'a 30 12:34:56.789 1 (12 skipped)',
    '! a gap: 18 to 20, 3 lost (slow)',
    '! a gap: publications, unknown lost (link)',
    '! a resync: epoch m from 0 (history_lost)',
    '! a recovered: nothing was lost up to 7',
  ]);
});

it('keeps numbers as they were written', () => {
  const text = '{"price":1.10,"size":12345678901234567890,"list":[1e3,"1.10",true]}';
  expect(JSON.stringify(JSON.parse(text, keepNumbers))).toBe(text);
});

/** What `sub` complains of where no node is, until it has tried twice. */
async function complaintsOf(isDefaultEdge: boolean): Promise<readonly string[]> {
  const stop = new AbortController();
  const complaints: string[] = [];
  const settings: SubSettings = {
    channels: ['a'],
    // Nothing listens on port 1.
    edgeUrls: [new URL('ws://127.0.0.1:1/ws')],
    isDefaultEdge,
    redisUrl: 'redis://127.0.0.1:1',
    ...{ isCluster: false, isClassic: false, json: false },
    ...{ redisPassword: undefined, token: undefined },
    ...{ since: undefined, history: undefined, latest: undefined, count: undefined },
  };
  await followChannels(settings, {
    print: () => {},
    complain(line) {
      complaints.push(line);
      if (complaints.filter((text) => text.includes('Trying again')).length === 2) stop.abort();
    },
    input: (async function* () {})(),
    environment: {},
    stopped: stop.signal,
  });
  return complaints;
}

it('names --edge once where no node is at the default address', async () => {
  const complaints = await complaintsOf(true);
  expect(complaints.filter((line) => line.includes('--edge'))).toHaveLength(1);
  expect(complaints[1]).toContain('--edge');
});

it('does not name --edge to somebody who gave it', async () => {
  expect((await complaintsOf(false)).filter((line) => line.includes('--edge'))).toEqual([]);
});
