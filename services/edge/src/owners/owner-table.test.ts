import { describe, expect, it } from 'vitest';
import type { OwnerLimits } from './owner.ts';
import { OwnerTable } from './owner-table.ts';

const LIMITS: OwnerLimits = {
  connections: 2,
  plain: 1,
  rates: { handshakes: { perSecond: 1, burst: 2 }, replay: { perSecond: 100, burst: 1_000 } },
};

describe('an owner', () => {
  it('has budgets of its own, each full at first', () => {
    const table = new OwnerTable(LIMITS);
    const [one, other] = [table.find('a'), table.find('b')];
    expect([1, 2, 3].map(() => one.take('handshakes', 0))).toEqual([true, true, false]);
    expect(one.waitMs('handshakes')).toBe(1_000);
    expect(other.take('handshakes', 0, 2)).toBe(true);
    expect(one.take('handshakes', 1_000)).toBe(true);
    one.charge('replay', 0, 1_500);
    expect([one.take('replay', 4_999, 0), one.take('replay', 5_001, 0)]).toEqual([false, true]);
  });

  it('has no limit where none is set', () => {
    const owner = new OwnerTable(LIMITS).find('a');
    expect(owner.take('requests', 0, 1_000_000)).toBe(true);
    expect(owner.waitMs('requests')).toBe(0);
  });

  it('is full of what it has open', () => {
    const table = new OwnerTable(LIMITS);
    const owner = table.find('a');
    table.addConnection(owner, 'plain');
    expect([owner.isFullOfPlain, owner.isFull]).toEqual([true, false]);
    table.removeConnection(owner, 'plain');
    table.addConnection(owner, 'connections');
    table.addConnection(owner, 'connections');
    expect([owner.isFullOfPlain, owner.isFull]).toEqual([false, true]);
    table.removeConnection(owner, 'connections');
    expect(owner.isFull).toBe(false);
  });
});

describe('OwnerTable', () => {
  it('is the same owner while something of it is open, however many others come', () => {
    const table = new OwnerTable(LIMITS, 3);
    const owner = table.find('a');
    table.addConnection(owner, 'connections');
    for (let i = 0; i < 100; i += 1) table.find(`other${i}`);
    expect(table.find('a')).toBe(owner);
    expect(table.size).toBe(4);
  });

  it('remembers those that have nothing open, and forgets the one not seen for longest', () => {
    const table = new OwnerTable(LIMITS, 2);
    const [first, second] = [table.find('a'), table.find('b')];
    table.find('a');
    table.find('c');
    expect(table.size).toBe(2);
    expect(table.find('a')).toBe(first);
    expect(table.find('b')).not.toBe(second);
  });

  it('remembers an owner whose last connection has ended, with its budgets', () => {
    const table = new OwnerTable(LIMITS, 2);
    const owner = table.find('a');
    table.addConnection(owner, 'plain');
    table.addConnection(owner, 'connections');
    owner.take('handshakes', 0, 2);
    table.removeConnection(owner, 'plain');
    expect(table.find('a').isHeld).toBe(true);
    table.removeConnection(owner, 'connections');
    expect(table.find('a').take('handshakes', 0)).toBe(false);
  });
});
