import { describeChannel } from './channel.ts';
import { checkDeployment } from './check.ts';
import { describeFailure } from './describe-failure.ts';
import { migrateFromTerminal } from './migrate.ts';
import { publishFromTerminal } from './pub.ts';
import { readCommand, USAGE, UsageError, VERSION } from './settings.ts';
import { followChannels } from './sub.ts';
import type { Terminal } from './terminal.ts';

export type { Terminal } from './terminal.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs one command, and resolves with the process' exit code: 0, 1 if it failed, 2 if the command line is wrong. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const command = readCommand(args, terminal.environment);
    switch (command.name) {
      case 'help':
        terminal.print(USAGE);
        return 0;
      case 'version':
        terminal.print(VERSION);
        return 0;
      case 'pub':
        return (await publishFromTerminal(command.settings, terminal)) ? 0 : EXIT_FAILED;
      case 'sub':
        return (await followChannels(command.settings, terminal)) ? 0 : EXIT_FAILED;
      case 'channel':
        await describeChannel(command.settings, terminal);
        return 0;
      case 'check':
        return (await checkDeployment(command.settings, terminal)) ? 0 : EXIT_FAILED;
      case 'migrate':
        return (await migrateFromTerminal(command.settings, terminal)) ? 0 : EXIT_FAILED;
    }
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.complain(`${error.message}\n(tradewind --help lists commands and options)`);
      return EXIT_USAGE;
    }
    terminal.complain(describeFailure(error));
    return EXIT_FAILED;
  }
}
