import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { printChecks, runChecks } from './checks/checks.ts';
import { countTests, formatCounts, isGood, type TestCounts } from './checks/test-report.ts';
import { WORKSPACE_NODE, WORKSPACE_ROOT } from './processes/service-process.ts';

/** The suites of `npm test`: minutes. Chaos, capacity and benchmarks have commands of their own. */
const PROJECTS = ['unit', 'integration', 'integration-cluster', 'integration-alone'];

/** The argument of `npm run test:long`: the same suites, and whole what they have a short form of (`test/support/suite/length.ts`). */
const LONG = '--long';

/**
 * Where Node keeps the compiled code of what it has loaded. Tests start hundreds of services, and each would strip and compile
 * the same sources again: half of the CPU time of its start.
 */
const COMPILE_CACHE = `${WORKSPACE_ROOT}node_modules/.compile-cache`;

/** Vitest's own report of the latest run, for whoever wants more than the counts. */
const REPORT = `${WORKSPACE_ROOT}node_modules/.test-report.json`;

async function runVitest(args: readonly string[]): Promise<TestCounts> {
  const length = args.includes(LONG) ? { TEST_LENGTH: 'long' } : {};
  await rm(REPORT, { force: true });
  const child = spawn(
    WORKSPACE_NODE,
    [
      ...['node_modules/vitest/vitest.mjs', 'run'],
      ...PROJECTS.map((project) => `--project=${project}`),
      ...['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`],
      ...args.filter((arg) => arg !== LONG),
    ],
    {
      cwd: WORKSPACE_ROOT,
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, ...length },
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  const end = (): void => {
    child.kill('SIGTERM');
  };
  process.on('SIGINT', end).on('SIGTERM', end).on('disconnect', end);
  process.channel?.unref();
  const [code] = (await once(child, 'close')) as [number | null];
  const report = await readFile(REPORT, 'utf8').catch(() => undefined);
  return countTests(report, code ?? 1);
}

async function runTests(args: readonly string[]): Promise<TestCounts> {
  const failed = printChecks(await runChecks());
  return failed > 0 ? { passed: 0, failed, skipped: 0 } : await runVitest(args);
}

const counts = await runTests(process.argv.slice(2));
console.log(formatCounts(counts));
process.exitCode = isGood(counts) ? 0 : 1;
