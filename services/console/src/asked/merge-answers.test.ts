import type { ChannelReading, FoundClient, NodeAnswer } from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { isListAnswered, mergeChannel, mergeList, mergeSearch } from './merge-answers.ts';

const BUSIEST = { order: 'rate', text: '' } as const;
const QUIETEST = { order: 'quiet', text: '' } as const;

function answer(node: string, changes: Partial<NodeAnswer>): NodeAnswer {
  return { node, lists: [], channels: [], searches: [], ...changes };
}

function reading(channel: string, rate: number, subscribers: number, ageMs = 0): ChannelReading {
  return { channel, rate, subscribers, ageMs };
}

function client(session: string, changes: Partial<FoundClient> = {}): FoundClient {
  const none = { channels: 0, queue: 0, stalledMs: 0, isBehind: false, ignoredRequests: 0 };
  return { session, network: '', openedAt: 0, ...none, ...changes };
}

describe('answers of several edges', () => {
  it('are one list: subscribers add up, and each edge has the same rate', () => {
    const lists = (...channels: ChannelReading[]) => ({ lists: [{ ...BUSIEST, channels }] });
    const rows = mergeList(
      BUSIEST,
      [
        answer('a', lists({ ...reading('BTC', 10, 3, 50), saved: 300 }, reading('ETH', 1, 1, -1))),
        answer('b', lists({ ...reading('BTC', 9, 4, 20), saved: 400 })),
      ],
      2,
    );
    expect(rows).toEqual([
      { channel: 'BTC', rate: 10, subscribers: 7, isLeast: false, ageMs: 20, saved: 700, nodes: 2 },
      { channel: 'ETH', rate: 1, subscribers: 1, isLeast: false, ageMs: -1, saved: 0, nodes: 1 },
    ]);
    expect(
      mergeList({ ...BUSIEST, text: 'x' }, [answer('a', lists(reading('BTC', 1, 1)))], 1),
    ).toEqual([]);
  });

  it('are no list before an edge has answered it, unless there is no edge', () => {
    const asked = answer('a', { lists: [{ ...BUSIEST, channels: [] }] });
    expect(isListAnswered(BUSIEST, [], 2)).toBe(false);
    expect(isListAnswered(BUSIEST, [answer('b', {})], 2)).toBe(false);
    expect(isListAnswered(QUIETEST, [asked], 2)).toBe(false);
    expect(isListAnswered(BUSIEST, [answer('b', {}), asked], 2)).toBe(true);
    expect(isListAnswered(BUSIEST, [], 0)).toBe(true);
  });

  it('say of subscribers that they are the least, where an edge lists other channels or has not answered', () => {
    const lists = (...channels: ChannelReading[]) => ({ lists: [{ ...BUSIEST, channels }] });
    const hundred = Array.from({ length: 100 }, (_, i) => reading(`c${i}`, 50, 1));
    const few = answer('a', lists(reading('BTC', 60, 3), reading('c7', 50, 1)));
    const least = (answers: readonly NodeAnswer[], edges: number) =>
      Object.fromEntries(
        mergeList(BUSIEST, answers, edges).map(({ channel, isLeast }) => [channel, isLeast]),
      );
    expect(least([few, answer('b', lists(...hundred))], 2)).toMatchObject({
      BTC: true,
      c7: false,
      c8: false,
    });
    expect(least([few, answer('b', lists(...hundred.slice(1)))], 2)).toMatchObject({ BTC: false });
    expect(least([few], 2)).toMatchObject({ BTC: true });
  });

  it('begin with the channels that never had a publication, where the quietest are asked for', () => {
    const channels = [reading('late', 0, 1, 900), reading('b', 0, 1, -1), reading('a', 0, 1, -1)];
    const rows = mergeList(QUIETEST, [answer('a', { lists: [{ ...QUIETEST, channels }] })], 1);
    expect(rows.map(({ channel }) => channel)).toEqual(['a', 'b', 'late']);
  });

  it('put the positions of a channel side by side', () => {
    const on = (offset: number) => ({
      channels: [{ ...reading('BTC', 1, 1), epoch: 'e', offset, state: 'live' as const }],
    });
    const rows = mergeChannel('BTC', [answer('edge-10', on(6)), answer('edge-2', on(7))]);
    expect(rows.map(({ node, offset }) => [node, offset])).toEqual([
      ['edge-2', 7],
      ['edge-10', 6],
    ]);
  });

  it('find clients wherever they are, the worst first, and at most 50', () => {
    const ends = Array.from({ length: 100 }, (_, i) => client(`e${i}`, { endedAt: i + 1 }));
    const found = mergeSearch('', [
      answer('a', { searches: [{ text: '', clients: [client('queued', { queue: 3 }), ...ends] }] }),
      answer('b', { searches: [{ text: '', clients: [client('stalled', { stalledMs: 9 })] }] }),
      answer('c', { searches: [{ text: 'another', clients: [client('no')] }] }),
    ]);
    expect(found).toHaveLength(50);
    expect(found.slice(0, 3).map(({ node, session }) => [node, session])).toEqual([
      ['b', 'stalled'],
      ['a', 'queued'],
      ['a', 'e99'],
    ]);
  });
});
