import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { describe, expect, it } from 'vitest';
import { countOpenDescriptors, divideDescriptors, readDescriptorLimit } from './descriptors.ts';

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

describe.runIf(process.platform === 'linux')('on Linux', () => {
  it('the limit is known, and what is open is counted', () => {
    expect(readDescriptorLimit()).toBeGreaterThan(3);
    const before = countOpenDescriptors();
    const opened = Array.from({ length: 10 }, () => openSync(devNull, 'r'));
    expect(countOpenDescriptors()).toBeGreaterThanOrEqual(before + 10);
    for (const descriptor of opened) closeSync(descriptor);
  });
});
