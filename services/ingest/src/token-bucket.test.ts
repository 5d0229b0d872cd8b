import { describe, expect, it } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

describe('TokenBucket', () => {
  it('allows a burst, then the rate, and says how long to wait', () => {
    let now = 0;
    const bucket = new TokenBucket(10, 20, () => now);
    expect(bucket.take(20)).toBe(0);
    expect(bucket.take(1)).toBe(100);
    now = 50;
    expect(bucket.take(1)).toBe(50);
    now = 100;
    expect(bucket.take(1)).toBe(0);
    expect(bucket.take(5)).toBe(500);
  });

  it('takes all or nothing', () => {
    const bucket = new TokenBucket(10, 20, () => 0);
    expect(bucket.take(15)).toBe(0);
    expect(bucket.take(6)).toBeGreaterThan(0);
    expect(bucket.take(5)).toBe(0);
  });

  it('saves up no more than its capacity', () => {
    let now = 0;
    const bucket = new TokenBucket(10, 20, () => now);
    now = 3_600_000;
    expect(bucket.take(20)).toBe(0);
    expect(bucket.take(1)).toBe(100);
  });

  it('lets what costs nothing pass', () => {
    const bucket = new TokenBucket(1, 1, () => 0);
    bucket.take(1);
    expect(bucket.take(0)).toBe(0);
  });
});
