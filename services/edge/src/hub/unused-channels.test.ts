import { describe, expect, it } from 'vitest';
import { UnusedChannels } from './unused-channels.ts';

describe('UnusedChannels', () => {
  const channel = (others: number) => ({ isUsed: false, others });

  it('finds one of whoever holds most, and none of those that hold about as few', () => {
    const unused = new UnusedChannels();
    const [few, many, most] = [channel(1), channel(40), channel(500)];
    for (const each of [few, most, many]) unused.add(each);
    expect(unused.findFor(0)).toBe(most);
    unused.delete(most);
    expect(unused.findFor(0)).toBe(many);
    expect(unused.findFor(31)).toBeUndefined();
    unused.delete(many);
    expect([unused.findFor(0), unused.findFor(1), unused.findFor(2)]).toEqual([
      few,
      undefined,
      undefined,
    ]);
  });

  it('spares what has carried something since', () => {
    const unused = new UnusedChannels();
    const used = channel(500);
    unused.add(used);
    used.isUsed = true;
    expect(unused.findFor(0)).toBeUndefined();
  });

  it('spares what a client that holds few wants as well', () => {
    const unused = new UnusedChannels();
    const shared = channel(500);
    unused.add(shared);
    unused.wanted(shared, 600);
    expect(unused.findFor(0)).toBe(shared);
    unused.wanted(shared, 0);
    expect(unused.findFor(0)).toBeUndefined();
    unused.delete(shared);
  });
});
