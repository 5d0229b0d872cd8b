import { PublicationLog } from '@tradewind/fanout';
import { describe, expect, it } from 'vitest';
import { HistoryBounds } from './history-bounds.ts';
import { ReplayQueue } from './replay-queue.ts';
import { LocalChannel } from './subscribed-channel.ts';

function setUp(bytes = 1_000) {
  const resumed: string[] = [];
  const queue: ReplayQueue = new ReplayQueue(bytes, () => {
    for (let next = queue.next(); next !== undefined; next = queue.next()) resumed.push(next.name);
  });
  const log = new PublicationLog(bytes);
  const bounds = new HistoryBounds();
  return {
    queue,
    resumed,
    channel: (name: string) => new LocalChannel(name, log, queue.memory, bounds),
  };
}

describe('ReplayQueue', () => {
  it('lets channels go on in their order when there is room again, and not within the call', async () => {
    const { queue, resumed, channel } = setUp();
    queue.memory.take(1_000);
    expect(queue.mayAsk).toBe(false);
    for (const name of ['a', 'b', 'c']) queue.delay(channel(name));
    expect(queue.isFull).toBe(true);
    queue.memory.giveBack(1);
    expect(resumed).toEqual([]);
    await undefined;
    expect(resumed).toEqual(['a', 'b', 'c']);
    expect(queue.isFull).toBe(false);
  });

  it('puts a few questions at once', async () => {
    const { queue, resumed, channel } = setUp();
    for (let i = 0; i < 4; i += 1) {
      expect(queue.mayAsk).toBe(true);
      queue.questionPut();
    }
    expect(queue.mayAsk).toBe(false);
    queue.delay(channel('a'));
    expect(queue.isFull, 'nobody is to blame').toBe(false);
    queue.questionEnded(undefined);
    await undefined;
    expect(resumed).toEqual(['a']);
  });

  it('forgets a channel that nobody wants any more', async () => {
    const { queue, resumed, channel } = setUp();
    queue.memory.take(1_000);
    const gone = channel('a');
    queue.delay(gone);
    queue.remove(gone);
    queue.memory.giveBack(1_000);
    await undefined;
    expect(resumed).toEqual([]);
  });
});
