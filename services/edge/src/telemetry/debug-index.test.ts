import { expect, it } from 'vitest';
import { FanOutUnderTest } from '../clients/testing/fan-out-under-test.ts';
import { addDescriptions, describeFanOut } from './debug-index.ts';

it('tells who listens to what, how far behind clients are, and what is held for them, over all workers', () => {
  using one = new FanOutUnderTest();
  using other = new FanOutUnderTest();
  const stalled = one.subscriber('a', 'e', 0);
  one.subscriber('b', 'e', 0);
  other.subscriber('a', 'e', 0).flush();
  // A name that every object has.
  other.subscriber('constructor', 'e', 0).flush();
  stalled.stall();
  for (let i = 0; i < 600; i += 1) one.upstream.publish('a', 'x');

  expect(addDescriptions([one, other].map(({ fanOut }) => describeFanOut(fanOut)))).toEqual({
    connections: 4,
    subscriptions: 4,
    busiestChannels: { a: 2, b: 1, constructor: 1 },
    connectionsByQueueDepth: {
      'up to 0': 3,
      'up to 8': 0,
      'up to 64': 0,
      'up to 256': 0,
      'up to 511': 0,
      more: 1,
    },
    queueEntryBytes: one.fanOut.queueEntryBytes + other.fanOut.queueEntryBytes,
    logBytes: one.fanOut.logBytes + other.fanOut.logBytes,
  });
  expect(one.fanOut.queueEntryBytes).toBeGreaterThan(0);
  expect(one.fanOut.logBytes).toBeGreaterThan(20_000);
});
