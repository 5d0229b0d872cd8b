import { findRuleFaults } from '../observability/check-rules.ts';
import { findPrometheus, HOW_TO_INSTALL_PROMETHEUS } from '../observability/prometheus-server.ts';
import { runTool } from '../processes/run-tool.ts';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';
import { findImportFaults } from './check-imports.ts';
import { findLinkFaults } from './check-links.ts';

/** The result of one check. */
export interface CheckResult {
  readonly name: string;
  readonly passed: boolean;
  /** The text to show if the check failed. */
  readonly output: string;
  /** Why the check was skipped; it then counts as passed. */
  readonly skipped?: string;
}

/** Runs every check that needs neither a test nor Redis, side by side. It takes seconds and changes nothing. */
export async function runChecks(): Promise<CheckResult[]> {
  return await Promise.all([
    toolCheck('lint and format', 'biome', ['check', '--colors=off', '.']),
    toolCheck('types', 'tsc', ['--project', '.', '--pretty', 'false']),
    toolCheck('types of the console’s page', 'tsc', [
      ...['--project', 'services/console/page', '--pretty', 'false'],
    ]),
    toolCheck('types of the demo’s page', 'tsc', [
      ...['--project', 'infra/dev/page', '--pretty', 'false'],
    ]),
    importCheck(),
    linkCheck(),
    toolCheck('spelling of documents', 'cspell', ['--no-progress', '--no-summary', '--no-color']),
    ruleCheck(),
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

async function linkCheck(): Promise<CheckResult> {
  const faults = await findLinkFaults(WORKSPACE_ROOT);
  return { name: 'links of documents', passed: faults.length === 0, output: faults.join('\n') };
}

async function ruleCheck(): Promise<CheckResult> {
  const name = 'alerts and recording rules';
  const programs = await findPrometheus();
  if (programs === undefined) {
    return { name, passed: true, output: '', skipped: HOW_TO_INSTALL_PROMETHEUS };
  }
  const output = await findRuleFaults(programs.promtool);
  return { name, passed: output === '', output };
}

/** Prints one line a check, and the full text of each that failed. Returns how many failed. */
export function printChecks(results: readonly CheckResult[]): number {
  for (const { name, passed, output, skipped } of results) {
    if (!passed) console.log(output.trimEnd());
    if (skipped !== undefined) console.log(`SKIPPED ${name}: ${skipped}`);
    else console.log(`${passed ? 'ok    ' : 'FAILED'} ${name}`);
  }
  return results.filter(({ passed }) => !passed).length;
}
