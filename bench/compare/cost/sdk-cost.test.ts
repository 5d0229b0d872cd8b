import { expect, it } from 'vitest';
import { describeSdkCost, runSdkCost, sdkCostFailures } from './sdk-cost.ts';

it('measures every kind of consumer, and many channels', async () => {
  const cost = await runSdkCost(true);
  expect(cost.consumers.map(({ consumers }) => consumers)).toEqual([
    ...['JSON.parse alone', '1 listener', '10 listeners', '1 iterator', '10 iterators'],
  ]);
  expect(cost).toMatchObject({ channels: 1_000, requests: 8 });
  expect(describeSdkCost(cost)).toContain('10 listeners');
});

it('names what is above its bound', () => {
  const cost = {
    consumers: [
      { consumers: '1 listener', us: 2.9 },
      { consumers: '10 listeners', us: 3.1 },
      { consumers: 'JSON.parse alone', us: 9 },
    ],
    ...{ channels: 10, heldBytes: 10_241, longestMs: 51, requests: 1, largestRequestBytes: 100 },
  };
  expect(sdkCostFailures(cost)).toEqual([
    expect.stringContaining('10 listeners'),
    expect.stringContaining('10241 bytes'),
    expect.stringContaining('51'),
  ]);
});
