import { describe, expect, it } from 'vitest';
import { goodOutcome, loadSample, wholeDelivery } from './outcome.fixture.ts';
import { judge, type Outcome } from './outcome.ts';

function unmet(changes: Partial<Outcome>): string[] {
  return judge(goodOutcome(changes)).flatMap(({ met, found }) => (met ? [] : [found]));
}

function steady(changes: Partial<Outcome['verdict']['steady']>): Partial<Outcome> {
  const { verdict } = goodOutcome();
  return { verdict: { ...verdict, steady: { ...wholeDelivery(100), ...changes } } };
}

describe('judge', () => {
  it('passes a run without failures', () => {
    expect(unmet({})).toEqual([]);
  });

  it.each<[string, Partial<Outcome>, string]>([
    ['too few connected', { totals: loadSample({ subscribed: 98 }) }, '98 % (98 of 100)'],
    ['one received less', steady({ exact: 99, short: 1 }), '99 of 100 did; 1 received less'],
    ['one received something twice', steady({ exact: 99, over: 1 }), '0 received less, 1 more'],
    ['nobody was left to receive', steady({ connections: 0, exact: 0 }), '0 of 0 did'],
    ['a number was left out', steady({ missing: 1 }), '1 left out'],
    ['a number was out of order', steady({ disordered: 1 }), '1 out of order'],
    ['a slow disconnect', { totals: loadSample({ disconnected: { 4008: 1 } }) }, '1 were'],
    ['a lost connection', { totals: loadSample({ disconnected: { 1006: 2 } }) }, '2 did'],
    ['no latency', { latency: undefined }, 'nothing measured'],
    [
      'high latency',
      { latency: { p50: 1, p90: 1, p99: 1_000.5, p999: 2_000, max: 2_000, samples: 9 } },
      '1,001 ms',
    ],
    [
      'Redis refused',
      { published: { ...goodOutcome().published, refused: 1, refusal: 'OOM' } },
      '1 refused: OOM',
    ],
  ])('fails a run: %s', (_what, changes, found) => {
    const unmetNow = unmet(changes);
    expect(unmetNow).toHaveLength(1);
    expect(unmetNow[0]).toContain(found);
  });

  it('does not blame the server for weak clients that it disconnected', () => {
    expect(unmet({ totals: loadSample({ weakDisconnected: { 4008: 5 } }) })).toEqual([]);
  });

  it('names the criteria for clients that read steadily if others are not meant to keep up', () => {
    const settings = { ...goodOutcome().settings, stalledShare: 0.1 };
    const names = judge(goodOutcome({ settings })).map(({ name }) => name);
    expect(names).toContain('no client that reads steadily was disconnected as slow');
  });

  it('does not round a failure up to success', () => {
    const settings = { ...goodOutcome().settings, connections: 100_000 };
    const totals = loadSample({ subscribed: 98_999 });
    expect(unmet({ settings, totals })[0]).toContain('98.99 %');
  });
});
