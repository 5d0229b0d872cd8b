import { expect, it } from 'vitest';
import { memoryLimitBytes } from './memory-limit.ts';

const GIB = 1024 ** 3;

it('takes what was configured, else the control group’s limit, else the machine’s memory', () => {
  expect(memoryLimitBytes(2 * GIB, 3 * GIB, 4 * GIB)).toBe(2 * GIB);
  expect(memoryLimitBytes(0, 3 * GIB, 4 * GIB)).toBe(3 * GIB);
  expect(memoryLimitBytes(0, 0, 4 * GIB)).toBe(4 * GIB);
});

it('treats an enormous limit as none', () => {
  expect(memoryLimitBytes(0, 2 ** 64, 4 * GIB)).toBe(4 * GIB);
});

it('finds a limit on this machine', () => {
  expect(memoryLimitBytes(0)).toBeGreaterThan(0);
});
