import { describe, expect, it } from 'vitest';
import { LogLimiter } from './log-limiter.ts';
import { createLogger } from './logger.ts';

describe('LogLimiter', () => {
  it('logs an event at its rate and then tells how many were left out', () => {
    const { limiter, lines, clock } = setUp();
    limiter.warn('redis_unavailable', { cause: 'timeout' });
    limiter.warn('redis_unavailable', { cause: 'timeout' });
    limiter.warn('redis_unavailable', { cause: 'timeout' });
    clock.now = 1_000;
    limiter.warn('redis_unavailable', { cause: 'refused' });
    clock.now = 2_000;
    limiter.warn('redis_unavailable', { cause: 'refused' });
    expect(lines().map(({ cause, suppressed }) => [cause, suppressed])).toEqual([
      ['timeout', undefined],
      ['refused', 2],
      ['refused', undefined],
    ]);
  });

  it('logs a burst at once where there may be one', () => {
    const { limiter, lines, clock } = setUp({ perSecond: 2, burst: 3 });
    for (let n = 0; n < 1_000; n += 1) limiter.info('client_connected', { n });
    clock.now = 500;
    limiter.info('client_connected');
    expect(lines().map(({ n, suppressed }) => [n, suppressed])).toEqual([
      [0, undefined],
      [1, undefined],
      [2, undefined],
      [undefined, 997],
    ]);
  });

  it('counts each event by itself', () => {
    const { limiter, lines } = setUp();
    limiter.warn('one');
    limiter.error('two');
    limiter.info('three');
    expect(lines().map(({ msg, level }) => [msg, level])).toEqual([
      ['one', 'warn'],
      ['two', 'error'],
      ['three', 'info'],
    ]);
  });

  it('stays bounded when it is given too many names', () => {
    const { limiter, lines } = setUp();
    for (let n = 0; n < 10_000; n += 1) limiter.warn(`event-${n}`);
    expect(lines().length).toBeLessThan(300);
  });
});

function setUp(rate = { perSecond: 1, burst: 1 }) {
  const written: string[] = [];
  const clock = { now: 0 };
  const destination = { write: (line: string) => void written.push(line) };
  const logger = createLogger({ name: 'test', level: 'info', destination });
  return {
    limiter: new LogLimiter(logger, rate, () => clock.now),
    lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>),
    clock,
  };
}
