import {
  CONFIG_ERROR_EXIT_CODE,
  type Lifecycle,
  type RunningService,
  runService,
} from './service.ts';
import { ConfigError, type Environment } from './settings/environment.ts';
import { RELEASE } from './settings/release.ts';
import type { UnknownVariable } from './settings/unknown-variables.ts';

/** EX_USAGE of sysexits.h. */
const USAGE_EXIT_CODE = 64;

/** What a service's program needs to be. */
export interface Program<Config extends { readonly unknownVariables: readonly UnknownVariable[] }> {
  /** Its name in logs and messages. */
  readonly name: string;
  /** What it does, in one sentence. */
  readonly purpose: string;
  /** Reads the settings. Throws a `ConfigError` with all mistakes. */
  readonly readConfig: (environment: Environment) => Config;
  readonly start: (config: Config, lifecycle: Lifecycle) => Promise<RunningService>;
}

/** Where the program reads from and writes to. */
export interface Surroundings {
  readonly args: readonly string[];
  readonly environment: Environment;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

const OF_PROCESS: Surroundings = {
  args: process.argv.slice(2),
  environment: process.env,
  print: (text) => void process.stdout.write(`${text}\n`),
  complain: (text) => void process.stderr.write(`${text}\n`),
};

/**
 * Runs a service, or does what its command line asks for: `--help`, `--version`, or `--check`, which reads the settings and
 * starts nothing. It sets the exit code: of `--check` 0 or 78, as of a start; 64 of any other argument.
 */
export async function runProgram<
  Config extends { readonly unknownVariables: readonly UnknownVariable[] },
>(program: Program<Config>, surroundings: Surroundings = OF_PROCESS): Promise<void> {
  const { args, environment, print, complain } = surroundings;
  const [option] = args;
  if (option === undefined) {
    const { name, readConfig, start } = program;
    await runService({ name, main: (lifecycle) => start(readConfig(environment), lifecycle) });
  } else if (args.length > 1 || !OPTIONS.includes(option)) {
    complain(`${program.name}: ${args.join(' ')} is not one of ${OPTIONS.join(', ')}`);
    process.exitCode = USAGE_EXIT_CODE;
  } else if (option === '--version') {
    print(`tradewind ${program.name} ${RELEASE}`);
  } else if (option === '--help') {
    print(helpOf(program));
  } else {
    process.exitCode = check(program, surroundings);
  }
}

const OPTIONS = ['--help', '--version', '--check'];

/** Reads the settings and says what is wrong with them. Returns the exit code. */
function check<Config extends { readonly unknownVariables: readonly UnknownVariable[] }>(
  { name, readConfig }: Program<Config>,
  { environment, print, complain }: Surroundings,
): number {
  const tell = (unknownVariables: readonly UnknownVariable[]): void => {
    for (const unknown of unknownVariables) {
      const nearest = unknown.nearest === undefined ? '' : `; ${unknown.nearest} is one`;
      complain(`${name}: ${unknown.name} is not a setting, and is ignored${nearest}`);
    }
  };
  try {
    tell(readConfig(environment).unknownVariables);
    print(`${name}: the settings are right; nothing was started`);
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const mistake of error.mistakes) complain(`${name}: ${mistake}`);
    tell(error.unknownVariables);
    return CONFIG_ERROR_EXIT_CODE;
  }
}

function helpOf<Config extends { readonly unknownVariables: readonly UnknownVariable[] }>({
  name,
  purpose,
  readConfig,
}: Program<Config>): string {
  return [
    `tradewind ${name} ${RELEASE}: ${purpose}`,
    '',
    '  without an argument   starts; SIGTERM drains and ends it',
    '  --check               reads the settings, says what is wrong, and starts nothing',
    '  --version             prints the version',
    '  --help                prints this',
    '',
    'Exit codes: 0 ended as asked, 78 wrong settings, 64 wrong arguments, 1 anything else.',
    'Settings are environment variables; docs/configuration.md has their meaning and defaults:',
    ...variablesOf(readConfig).map((variable) => `  ${variable}`),
  ].join('\n');
}

/** The variables that `readConfig` asks for, in its order. */
function variablesOf(readConfig: (environment: Environment) => unknown): readonly string[] {
  const names = new Set<string>();
  const environment = new Proxy<Environment>(
    {},
    {
      get(_target, name) {
        if (typeof name === 'string') names.add(name);
        return undefined;
      },
    },
  );
  try {
    readConfig(environment);
  } catch (error) {
    // Without any variable a required one is missing; the others were asked for all the same.
    if (!(error instanceof ConfigError)) throw error;
  }
  return [...names];
}
