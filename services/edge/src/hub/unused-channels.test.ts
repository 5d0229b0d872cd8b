import { describe, expect, it } from 'vitest';
import { UnusedChannels } from './unused-channels.ts';

describe('UnusedChannels', () => {
  const channel = (others: number) => ({ isUsed: false, others });

  it('finds a channel of the client that holds most, and none of clients that hold about as few', () => {
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

  it('spares a channel that has carried something since', () => {
    const unused = new UnusedChannels();
    const used = channel(500);
    unused.add(used);
    used.isUsed = true;
    expect(unused.findFor(0)).toBeUndefined();
  });

  it('spares a channel that a client that holds few wants, too', () => {
    const unused = new UnusedChannels();
    const shared = channel(500);
    unused.add(shared);
    unused.noteInterest(shared, 600);
    expect(unused.findFor(0)).toBe(shared);
    unused.noteInterest(shared, 0);
    expect(unused.findFor(0)).toBeUndefined();
    unused.delete(shared);
  });
});
