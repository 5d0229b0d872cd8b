import { describe, expect, it } from 'vitest';
import { ChannelRates } from './channel-rates.ts';

/** Rates of which somebody asks, after beats of one second with `count` publications each. */
function ratesAfter(counts: readonly number[]): ChannelRates {
  const rates = new ChannelRates();
  rates.beat(0);
  counts.forEach((count, second) => {
    for (let i = 0; i < count; i += 1) rates.count('a');
    rates.beat((second + 1) * 1_000);
  });
  return rates;
}

describe('the rates of channels', () => {
  it('are known after the first second', () => {
    expect(ratesAfter([10]).of('a')).toBe(10);
  });

  it('follow a channel that becomes busier within some seconds', () => {
    const rate = ratesAfter([10, 110, 110, 110, 110, 110, 110, 110, 110, 110]).of('a');
    expect(rate).toBeGreaterThan(100);
  });

  it('forget a channel that has fallen silent', () => {
    expect(ratesAfter([1, ...Array(30).fill(0)]).of('a')).toBe(0);
  });

  it('count nothing while nobody asks', () => {
    const rates = ratesAfter([10]);
    rates.stop();
    rates.count('a');
    expect(rates.of('a')).toBe(0);
  });
});
