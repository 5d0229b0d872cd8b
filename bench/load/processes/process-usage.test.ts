import { describe, expect, it } from 'vitest';
import {
  CAN_READ_PROCESS_USAGE,
  parseStat,
  readCpuTime,
  readMemory,
  readThreads,
} from './process-usage.ts';

it('reads a stat line whose name has spaces and brackets in it', () => {
  const line = '7 (tmux: a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 125 9 9 20 0 1 0 100 1 1';
  expect(parseStat(line)).toEqual({ name: 'tmux: a) b', user: 2.5, system: 1.25 });
});

describe.runIf(CAN_READ_PROCESS_USAGE)('of this very process', () => {
  it('the CPU time agrees with what Node says', async () => {
    const { user, system } = await readCpuTime(process.pid);
    const own = process.cpuUsage();
    expect(Math.abs(user + system - (own.user + own.system) / 1e6)).toBeLessThan(0.5);
  });

  it('memory is there, and a thread with our id', async () => {
    const { pssBytes, anonymousBytes, rssBytes } = await readMemory(process.pid);
    expect(anonymousBytes).toBeGreaterThan(5e6);
    expect(anonymousBytes).toBeLessThanOrEqual(pssBytes);
    expect(pssBytes).toBeGreaterThan(10e6);
    expect(rssBytes).toBeGreaterThanOrEqual(pssBytes);
    expect((await readThreads(process.pid)).map(({ id }) => id)).toContain(process.pid);
  });

  it('usage of a process that does not exist is refused', async () => {
    await expect(readCpuTime(2 ** 22 + 1)).rejects.toThrow('ENOENT');
  });
});
