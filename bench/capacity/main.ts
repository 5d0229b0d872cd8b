import { pathToFileURL } from 'node:url';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { ConfigError } from '@tradewind/runtime';
import { openFilesLimit } from './machine.ts';
import { judge } from './outcome.ts';
import { Progress } from './progress.ts';
import { writeReports } from './report-files.ts';
import { runCapacity } from './run.ts';
import { CAPACITY_USAGE, readCapacitySettings } from './settings.ts';
import { summarize } from './summary.ts';
import { terminalReport } from './terminal-report.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** The exit code that shells give to a program ended by Ctrl-C. */
const INTERRUPTED = 130;

/** Exits at once. All processes of a run end with this one, so nothing needs closing first. */
function endWhenInterrupted(): void {
  const end = (): void => {
    process.stderr.write('\ninterrupted\n');
    process.exit(INTERRUPTED);
  };
  process.once('SIGINT', end).once('SIGTERM', end).once('SIGHUP', end).once('disconnect', end);
  process.channel?.unref();
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(CAPACITY_USAGE.trimEnd());
    return 0;
  }
  const openFiles = await openFilesLimit();
  const settings = readCapacitySettings(args, process.env, openFiles, WORKSPACE_ROOT);
  endWhenInterrupted();
  const outcome = await runCapacity(settings, new Progress(process.stderr, settings));
  const criteria = judge(outcome);
  const sections = summarize(outcome);
  console.log(terminalReport(sections, criteria, process.stdout.isTTY).join('\n'));
  const files = await writeReports(outcome, sections, criteria);
  console.log(`report  ${pathToFileURL(files.html).href}\ndata    ${files.json}`);
  return criteria.every(({ met }) => met) ? 0 : EXIT_FAILED;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof ConfigError;
  console.error(`\n${(error as Error).message}`);
  if (isUsage) console.error('(npm run capacity -- --help lists the settings)');
  process.exitCode = isUsage ? EXIT_USAGE : EXIT_FAILED;
}
