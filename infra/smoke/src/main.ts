import { CHECKS } from './checks.ts';
import { readSmokeSettings, SMOKE_USAGE, type SmokeSettings, UsageError } from './settings.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs all checks, also after one has failed, and returns the number of failures. */
async function runChecks(settings: SmokeSettings): Promise<number> {
  let failed = 0;
  for (const { name, run } of CHECKS) {
    try {
      const finding = await run(settings);
      if ('confirmed' in finding) console.log(`ok       ${name}: ${finding.confirmed}`);
      else console.log(`skipped  ${name}: ${finding.skipped}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED   ${name}: ${(error as Error).message}`);
    }
  }
  return failed;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(SMOKE_USAGE);
    return 0;
  }
  try {
    return (await runChecks(readSmokeSettings(args))) === 0 ? 0 : EXIT_FAILED;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n(npm run smoke -- --help lists the options)`);
    return EXIT_USAGE;
  }
}

process.exitCode = await main(process.argv.slice(2));
