import { PublicationLog } from '@tradewind/fanout';
import { describe, expect, it } from 'vitest';
import { HistoryBounds } from '../replay/history-bounds.ts';
import { PendingReads, ReplayAdmission } from './replay-admission.ts';
import { SubscribedChannel } from './subscribed-channel.ts';

function setUp(bytes = 1_000) {
  const resumed: string[] = [];
  const admission: ReplayAdmission = new ReplayAdmission(bytes, () => {
    for (let next = admission.takeNext(); next !== undefined; next = admission.takeNext())
      resumed.push(next.name);
  });
  const log = new PublicationLog(bytes);
  const bounds = new HistoryBounds();
  return {
    admission,
    resumed,
    channel: (name: string) => new SubscribedChannel(name, log, admission.memory, bounds),
  };
}

describe('ReplayAdmission', () => {
  it('continues channels in their order when there is room again, and not within the call', async () => {
    const { admission, resumed, channel } = setUp();
    admission.memory.take(1_000);
    expect(admission.mayRead).toBe(false);
    for (const name of ['a', 'b', 'c']) admission.delay(channel(name));
    expect(admission.waitsForMemory).toBe(true);
    admission.memory.giveBack(1);
    expect(resumed).toEqual([]);
    await undefined;
    expect(resumed).toEqual(['a', 'b', 'c']);
    expect(admission.waitsForMemory).toBe(false);
  });

  it('reads a bounded number of histories at once', async () => {
    const { admission, resumed, channel } = setUp();
    for (let i = 0; i < 4; i += 1) {
      expect(admission.mayRead).toBe(true);
      admission.beginRead();
    }
    expect(admission.mayRead).toBe(false);
    admission.delay(channel('a'));
    expect(admission.waitsForMemory, 'nobody is to blame').toBe(false);
    admission.endRead(undefined);
    await undefined;
    expect(resumed).toEqual(['a']);
  });

  it('forgets a channel that no client wants any more', async () => {
    const { admission, resumed, channel } = setUp();
    admission.memory.take(1_000);
    const gone = channel('a');
    admission.delay(gone);
    admission.remove(gone);
    admission.memory.giveBack(1_000);
    await undefined;
    expect(resumed).toEqual([]);
  });
});

const BYTES = 1_000;

function beginAll(reads: PendingReads, freeBytes: number): number {
  let count = 0;
  while (reads.mayBegin(freeBytes)) {
    reads.begin();
    count += 1;
  }
  return count;
}

describe('PendingReads', () => {
  it('allows few reads at first, then many small ones, and never two that would not fit', () => {
    const reads = new PendingReads(BYTES);
    expect(beginAll(reads, BYTES)).toBe(4);
    for (let i = 0; i < 4; i += 1) reads.end(10);
    expect(beginAll(reads, BYTES)).toBe(16);
    for (let i = 0; i < 16; i += 1) reads.end(i === 15 ? 600 : 10);
    expect(beginAll(reads, BYTES)).toBe(1);
    reads.end(undefined);
    expect(beginAll(reads, 1_200)).toBe(2);
  });

  it('allows one read of any size while anything is free', () => {
    const reads = new PendingReads(BYTES);
    expect([reads.mayBegin(1), reads.mayBegin(0)]).toEqual([true, false]);
  });
});
