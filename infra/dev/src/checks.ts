import { findImportFaults } from './check-imports.ts';
import { runTool } from './run-tool.ts';
import { WORKSPACE_ROOT } from './service-process.ts';

/** What one check found. */
export interface CheckResult {
  readonly name: string;
  readonly passed: boolean;
  /** What to show when it did not pass. */
  readonly output: string;
}

/** Runs what needs no test and no Redis, all at once: seconds, and nothing is changed. */
export async function runChecks(): Promise<CheckResult[]> {
  return await Promise.all([
    toolCheck('lint and format', 'biome', ['check', '--colors=off', '.']),
    toolCheck('types', 'tsc', ['--project', '.', '--pretty', 'false']),
    importCheck(),
  ]);
}

async function toolCheck(
  name: string,
  tool: string,
  args: readonly string[],
): Promise<CheckResult> {
  const { code, output } = await runTool(tool, args);
  return { name, passed: code === 0, output };
}

async function importCheck(): Promise<CheckResult> {
  const faults = await findImportFaults(WORKSPACE_ROOT);
  return { name: 'import directions', passed: faults.length === 0, output: faults.join('\n') };
}

/** Prints one line a check, and what failed in full. Returns how many failed. */
export function printChecks(results: readonly CheckResult[]): number {
  for (const { name, passed, output } of results) {
    if (!passed) console.log(output.trimEnd());
    console.log(`${passed ? 'ok    ' : 'FAILED'} ${name}`);
  }
  return results.filter(({ passed }) => !passed).length;
}
