/** How a test run ended, in numbers. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of vitest's JSON report that is counted. */
interface JsonReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly unknown[];
  }[];
}

/**
 * Counts what vitest's JSON report tells. A file that could not even be loaded counts as one
 * failed test, and so does a run that failed without a failed test (an error outside of any).
 *
 * @param json the report, or undefined when the run left none.
 * @param exitCode what vitest ended with.
 */
export function countTests(json: string | undefined, exitCode: number): TestCounts {
  if (json === undefined) return { passed: 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 };
  const report = JSON.parse(json) as JsonReport;
  const unloadable = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  ).length;
  const failed = report.numFailedTests + unloadable;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** The line that a test run ends with, e.g. `12 passed, 0 failed, 1 skipped`. */
export function formatCounts({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Whether the run may count as good: nothing failed, and something ran. */
export function isGood({ passed, failed }: TestCounts): boolean {
  return failed === 0 && passed > 0;
}
