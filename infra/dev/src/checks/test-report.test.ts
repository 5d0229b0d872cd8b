import { describe, expect, it } from 'vitest';
import { countTests, formatCounts, isGood } from './test-report.ts';

const REPORT = {
  numPassedTests: 12,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [{}] }],
};

describe('countTests', () => {
  it('counts what passed and was skipped', () => {
    const counts = countTests(JSON.stringify({ ...REPORT, numPendingTests: 2 }), 0);
    expect(formatCounts(counts)).toBe('12 passed, 0 failed, 2 skipped');
    expect(isGood(counts)).toBe(true);
  });

  it('counts a file that could not be loaded as a failure', () => {
    const testResults = [{ status: 'failed', assertionResults: [] }];
    const counts = countTests(JSON.stringify({ ...REPORT, testResults }), 1);
    expect(formatCounts(counts)).toBe('12 passed, 1 failed');
    expect(isGood(counts)).toBe(false);
  });

  it('counts an error outside of any test as a failure', () => {
    expect(countTests(JSON.stringify(REPORT), 1).failed).toBe(1);
    expect(countTests(undefined, 1).failed).toBe(1);
  });

  it('calls a run without a test no success', () => {
    const none = countTests(JSON.stringify({ ...REPORT, numPassedTests: 0, testResults: [] }), 0);
    expect(isGood(none)).toBe(false);
    expect(isGood(countTests(undefined, 0))).toBe(false);
  });
});
