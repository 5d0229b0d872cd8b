import { describe, expect, it } from 'vitest';
import { SubscriptionIndex } from './subscription-index.ts';

interface Client {
  readonly name: string;
  readonly queueId: number;
  readonly group: number;
}

const alice: Client = { name: 'alice', queueId: 1, group: 0 };
const bob: Client = { name: 'bob', queueId: 2, group: 0 };
const carol: Client = { name: 'carol', queueId: 3, group: 1 };

describe('SubscriptionIndex', () => {
  it('hands out its own arrays for a delivery, the same ones each time', () => {
    const index = new SubscriptionIndex<Client>();
    index.add('BTC.trade', alice);
    const before = index.audience('BTC.trade').members;
    index.add('BTC.trade', bob);
    expect(index.audience('BTC.trade').members).toBe(before);
    expect(before).toEqual([alice, bob]);
  });

  it('gives nobody for a channel without subscribers, in a list that nobody can write to', () => {
    const index = new SubscriptionIndex<Client>();
    const nobody = index.audience('BTC.trade').members as Client[];
    expect(nobody).toEqual([]);
    expect(() => nobody.push(alice)).toThrow(TypeError);
    expect(index.audience('ETH.trade', 7).members).toEqual([]);
    expect(index.get('BTC.trade')).toEqual([]);
  });

  it('gives the channels of one subscriber, in an array that the caller owns', () => {
    const index = new SubscriptionIndex<Client>();
    for (const channel of ['BTC.trade', 'ETH.trade']) index.add(channel, alice);
    index.add('SOL.trade', bob);
    const channels = index.channelsOf(alice);
    for (const channel of channels) index.remove(channel, alice);
    expect(channels).toEqual(['BTC.trade', 'ETH.trade']);
    expect(index.channelsOf(alice)).toEqual([]);
  });

  it('keeps the groups of a channel apart for deliveries, and together for everything else', () => {
    const index = new SubscriptionIndex<Client>();
    for (const client of [carol, alice, bob]) index.add('BTC.trade', client);
    index.add('ETH.trade', carol);
    expect(index.audience('BTC.trade', 0)).toMatchObject({
      members: [alice, bob],
      queueIds: [1, 2],
    });
    expect(index.audience('BTC.trade', 1)).toMatchObject({ members: [carol], queueIds: [3] });
    expect(index.get('BTC.trade')).toEqual([alice, bob, carol]);
    expect([...index.counts()]).toEqual([
      ['BTC.trade', 3],
      ['ETH.trade', 1],
    ]);
    index.removeClient(carol);
    expect([index.channels, index.count('BTC.trade'), index.subscriptions]).toEqual([1, 2, 2]);
  });

  it('says whether an add or a remove changed anything', () => {
    const index = new SubscriptionIndex<Client>();
    expect(index.add('BTC.trade', alice)).toBe(true);
    expect(index.add('BTC.trade', alice)).toBe(false);
    expect(index.addMultiple(['BTC.trade', 'ETH.trade', 'ETH.trade'], alice)).toBe(1);
    expect(index.remove('BTC.trade', bob)).toBe(false);
    expect(index.remove('SOL.trade', alice)).toBe(false);
    expect(index.removeMultiple(['BTC.trade', 'BTC.trade', 'SOL.trade'], alice)).toBe(1);
    expect(index.remove('BTC.trade', alice)).toBe(false);
  });

  it('takes a client out of all its channels and leaves the others in theirs', () => {
    const index = new SubscriptionIndex<Client>();
    index.addMultiple(['BTC.trade', 'ETH.trade', 'SOL.trade'], alice);
    index.addMultiple(['BTC.trade', 'ETH.trade'], bob);
    index.add('ETH.trade', carol);
    expect(index.removeClient(alice)).toEqual(['BTC.trade', 'ETH.trade', 'SOL.trade']);
    expect(index.removeClient(alice)).toEqual([]);
    expect([...index.counts()]).toEqual([
      ['BTC.trade', 1],
      ['ETH.trade', 2],
    ]);
    expect(index.subscriptions).toBe(3);
    expect(index.has('ETH.trade', carol)).toBe(true);
  });

  it('forgets a channel with its last subscriber, and starts afresh when one comes back', () => {
    const index = new SubscriptionIndex<Client>();
    index.add('BTC.trade', alice);
    index.remove('BTC.trade', alice);
    expect([index.channels, index.count('BTC.trade'), index.held(alice)]).toEqual([0, 0, 0]);
    index.add('BTC.trade', bob);
    expect(index.get('BTC.trade')).toEqual([bob]);
    expect(index.has('BTC.trade', alice)).toBe(false);
  });

  it('takes names of object properties for channels like any other', () => {
    const index = new SubscriptionIndex<Client>();
    expect(index.count('constructor')).toBe(0);
    expect(index.has('toString', alice)).toBe(false);
    expect(index.add('constructor', alice)).toBe(true);
    expect(index.get('constructor')).toEqual([alice]);
  });

  it('puts a subscription into another group than its subscriber’s where it is told to', () => {
    const index = new SubscriptionIndex<Client>();
    index.add('BTC.trade', alice);
    expect(index.add('BTC.trade', bob, 3)).toBe(true);
    expect(index.add('BTC.trade', bob)).toBe(false);
    expect(index.audience('BTC.trade').members).toEqual([alice]);
    expect(index.audience('BTC.trade', 3).members).toEqual([bob]);
    expect([index.count('BTC.trade'), index.groupOf('BTC.trade', bob)]).toEqual([2, 3]);
    expect(index.remove('BTC.trade', bob)).toBe(true);
    expect(index.groupOf('BTC.trade', bob)).toBeUndefined();
    expect([...index.counts()]).toEqual([['BTC.trade', 1]]);
  });
});
