import { describe, expect, it } from 'vitest';
import {
  encodeNodeAnswer,
  MAX_NODE_ANSWER_BYTES,
  MAX_WATCHED_CHANNELS,
  type NodeAnswer,
  readConsoleWatch,
  readNodeAnswer,
} from './console-watch.ts';

const ANSWER: NodeAnswer = {
  node: 'edge-1',
  lists: [
    {
      order: 'rate',
      text: '',
      channels: [{ channel: 'BTC.trade', rate: 2, subscribers: 3, ageMs: 4 }],
    },
  ],
  channels: [
    {
      ...{ channel: 'BTC.trade', rate: 2, subscribers: 3, ageMs: 4 },
      ...{ epoch: 'e', offset: 7, state: 'live' },
    },
  ],
  searches: [],
};

describe('what pages ask', () => {
  it('is read up to its bounds, and without what is none', () => {
    const channels = Array.from({ length: 50 }, (_, i) => `c${i}`);
    const watch = readConsoleWatch(
      JSON.stringify({
        lists: [{ order: 'rate', text: 'BTC' }, { order: 'colour', text: '' }, 7],
        channels: ['x'.repeat(201), ...channels],
        clients: [''],
      }),
    );
    expect(watch).toEqual({
      lists: [{ order: 'rate', text: 'BTC' }],
      channels: channels.slice(0, MAX_WATCHED_CHANNELS),
      clients: [''],
    });
  });

  it.each([null, '', '[]', '{"lists":1}', 'null', '7'])(
    'is nothing if the key holds %s',
    (text) => {
      expect(readConsoleWatch(text)).toBeUndefined();
    },
  );
});

describe('what a node answers', () => {
  it('is read as it was written', () => {
    expect(readNodeAnswer(encodeNodeAnswer(ANSWER))).toEqual(ANSWER);
  });

  it('is nothing where what binary frames save is no number', () => {
    const lists = (saved: unknown) => [
      { order: 'rate', text: '', channels: [{ ...ANSWER.channels[0], saved }] },
    ];
    const read = (saved: unknown) =>
      readNodeAnswer(JSON.stringify({ ...ANSWER, lists: lists(saved) }));
    expect(read(5)?.lists[0]?.channels[0]).toMatchObject({ saved: 5 });
    expect(read('5')).toBeUndefined();
    expect(read({})).toBeUndefined();
  });

  it('keeps within its bytes, and the first rows of a list', () => {
    const channels = Array.from({ length: 1_000 }, (_, i) => ({
      ...{ channel: `${i}`.padEnd(200, 'x'), rate: i, subscribers: 1, ageMs: 0 },
    }));
    const text = encodeNodeAnswer({ ...ANSWER, lists: [{ order: 'rate', text: '', channels }] });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_NODE_ANSWER_BYTES);
    const [list] = readNodeAnswer(text)?.lists ?? [];
    expect(list?.channels.length).toBeGreaterThan(100);
    expect(list?.channels[0]).toEqual(channels[0]);
  });

  it.each([null, '{', '{"node":1}', '{"node":"a","lists":[{}],"channels":[],"searches":[]}'])(
    'is nothing if the key holds %s',
    (text) => {
      expect(readNodeAnswer(text)).toBeUndefined();
    },
  );
});
