import { expect, it } from 'vitest';
import { describePublishing, type PublishCost } from './publish-cost.ts';

function cost(publicationsPerSecond: number, publisherCore = 0.5): PublishCost {
  return {
    publicationsPerSecond,
    redisMicros: 1e5 / publicationsPerSecond,
    publisherMicros: 9,
    redisCore: 0.1,
    publisherCore,
  };
}

it('shows each way with its medians and its ratios, and which of them the publisher held up', () => {
  const ratio = (median: number) => ({ median, low: median, high: median, confidence: 0.75 });
  const text = describePublishing({
    plan: { payloads: [150], pairs: 3, seconds: 5 },
    rows: [
      {
        payloadBytes: 150,
        sides: [
          { label: 'PUBLISH', runs: [cost(90_000), cost(110_000, 0.99), cost(100_000)] },
          { label: 'script, history 0', runs: [cost(25_000)] },
        ],
        ratios: [
          {
            label: 'script, history 0',
            publicationsPerSecond: ratio(0.25),
            redisMicros: ratio(4),
          },
        ],
      },
    ],
  });
  expect(text).toMatch(/^PUBLISH +100,000 +1 +9 +10 % +50 %$/m);
  expect(text).toMatch(/^script, history 0 +25,000 +4 +9 +10 % +50 %$/m);
  expect(text).toContain('publications/s, script, history 0 / PUBLISH: 0.250 (0.250');
  expect(text).toContain('Redis’ CPU, script, history 0 / PUBLISH: 4.000 (4.000');
  expect(text).toContain('PUBLISH: the publisher’s core was full');
  expect(text).not.toContain('script, history 0: the publisher’s');
});
