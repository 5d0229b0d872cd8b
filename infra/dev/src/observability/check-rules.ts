import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { WORKSPACE_ROOT } from '../service-process.ts';

/** How long promtool may take over all files, in ms; it needs less than a second. */
const DEADLINE_MS = 60_000;

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
    try {
      await promisify(execFile)(promtool, args, { cwd: FOLDER, timeout: DEADLINE_MS });
    } catch (error) {
      const {
        stdout = '',
        stderr = '',
        message,
      } = error as Error & {
        stdout?: string;
        stderr?: string;
      };
      return `promtool ${args.join(' ')}\n${stdout}${stderr || message}`;
    }
  }
  return '';
}
