import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';

/** How long promtool may take over all files, in ms; it needs less than a second on a machine that has nothing else to do. */
const DEADLINE_MS = 300_000;

const FOLDER = `${WORKSPACE_ROOT}infra/prometheus`;

const COMMANDS: readonly (readonly string[])[] = [
  ['check', 'config', 'prometheus.yml'],
  ['check', 'rules', 'recording-rules.yml', 'alerts.yml'],
  ['test', 'rules', 'alerts.test.yml'],
];

/**
 * Lets promtool check the example configuration and the rules, and run the rules' tests. Returns
 * what it says about what is wrong, nothing when all is well.
 */
export async function findRuleFaults(promtool: string): Promise<string> {
  for (const args of COMMANDS) {
    const fault = await runPromtool(promtool, args, '');
    if (fault !== '') return fault;
  }
  return '';
}

/**
 * Lets promtool check what a service exports: names, units, help texts. Returns what it says about what is wrong, nothing
 * when all is well.
 *
 * @param page the text of `/metrics`.
 */
export async function findMetricFaults(promtool: string, page: string): Promise<string> {
  return await runPromtool(promtool, ['check', 'metrics'], page);
}

async function runPromtool(
  promtool: string,
  args: readonly string[],
  input: string,
): Promise<string> {
  const running = promisify(execFile)(promtool, args, { cwd: FOLDER, timeout: DEADLINE_MS });
  running.child.stdin?.end(input);
  try {
    await running;
    return '';
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & Partial<Output>;
    return `promtool ${args.join(' ')}\n${stdout}${stderr || message}`;
  }
}

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}
