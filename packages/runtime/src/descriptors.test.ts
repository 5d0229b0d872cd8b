import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  countOpenDescriptors,
  DescriptorWatch,
  divideDescriptors,
  readDescriptorLimit,
} from './descriptors.ts';

describe('divideDescriptors', () => {
  const WANTED = { clients: 40_000, plain: 1_024, admin: 64 };

  it('gives what is wanted where there is enough', () => {
    expect(divideDescriptors(41_088, WANTED)).toBe(WANTED);
  });

  it.each([41_087, 1_000, 100, 54, 20])('never gives more than %i', (free) => {
    const { clients, plain, admin } = divideDescriptors(free, WANTED);
    expect(clients + plain + admin).toBeLessThanOrEqual(free);
    expect(Math.min(plain, admin)).toBeGreaterThanOrEqual(4);
  });

  it('leaves something for each kind where there is next to nothing', () => {
    expect(divideDescriptors(-5, WANTED)).toEqual({ clients: 1, plain: 4, admin: 4 });
  });
});

describe('DescriptorWatch', () => {
  afterEach(() => void vi.useRealTimers());

  it('takes a missing file for no lack of descriptors, as in a root without devices', () => {
    vi.useFakeTimers();
    const ranOut = vi.fn();
    const watch = new DescriptorWatch(ranOut, '/no/such/file');
    vi.advanceTimersByTime(10_000);
    watch.stop();
    expect(ranOut).not.toHaveBeenCalled();
    expect(watch.exhausted).toBe(false);
  });
});

describe.runIf(process.platform === 'linux')('on Linux', () => {
  it('the limit is known, and what is open is counted', () => {
    expect(readDescriptorLimit()).toBeGreaterThan(3);
    const before = countOpenDescriptors();
    const opened = Array.from({ length: 10 }, () => openSync(devNull, 'r'));
    expect(countOpenDescriptors()).toBeGreaterThanOrEqual(before + 10);
    for (const descriptor of opened) closeSync(descriptor);
  });
});
