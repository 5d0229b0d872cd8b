import { AdminClient } from './admin-client.ts';
import { createInstanceGroupFleet, createStaticFleet } from './fleet.ts';
import { rebalanceFleet } from './rebalance.ts';
import { removeNode, rollFleet } from './roll.ts';
import { ROLL_USAGE, type RollCommand, readRollCommand, UsageError } from './settings.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

async function carryOut(command: RollCommand): Promise<void> {
  const { nodes, commands, task } = command;
  const report = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);
  const admin = new AdminClient(command.token);
  const fleet =
    'region' in nodes
      ? createInstanceGroupFleet(nodes, commands)
      : createStaticFleet(nodes, commands);
  switch (task.kind) {
    case 'roll':
      await rollFleet(fleet, admin, command.roll, report);
      break;
    case 'remove':
      await removeNode(fleet, task.node, admin, command.roll, report);
      break;
    case 'rebalance':
      await rebalanceFleet(fleet, admin, command.rebalance, report);
      break;
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(ROLL_USAGE);
    return 0;
  }
  try {
    await carryOut(readRollCommand(args));
    return 0;
  } catch (error) {
    const isUsage = error instanceof UsageError;
    console.error((error as Error).message);
    if (isUsage) console.error('(npm run roll -- --help tells the options)');
    return isUsage ? EXIT_USAGE : EXIT_FAILED;
  }
}

process.exitCode = await main(process.argv.slice(2));
