import { AdminClient } from './admin-client.ts';
import { createStaticFleet, type Fleet } from './fleet.ts';
import { createGcloud, type Gcloud } from './gcloud.ts';
import { createIapReach } from './iap-reach.ts';
import { createInstanceGroupFleet } from './instance-group.ts';
import { DIRECTLY, type Reach } from './reach.ts';
import { rebalanceFleet, reportUneven } from './rebalance.ts';
import { deleteUnusedTemplates, removeNode, removeNodes, rollFleet } from './roll.ts';
import { ROLL_USAGE, type RollCommand, readRollCommand, UsageError } from './settings.ts';
import { readTokens } from './token.ts';
import { watchFleet } from './watch.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** A shell adds this to a signal's number. */
const EXIT_SIGNALLED = 128;

const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

async function carryOut(
  command: RollCommand,
  reach: Reach,
  gcloud: Gcloud,
  end: AbortSignal,
): Promise<void> {
  const { task, roll, rebalance, watch } = command;
  const report = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);
  const readAll = () => readTokens(command.token, gcloud);
  const fleet = createFleet(command, reach, gcloud);
  if (task.kind === 'clean-templates') return await deleteUnusedTemplates(fleet, report);
  const admin = new AdminClient(await readAll(), reach, readAll);
  switch (task.kind) {
    case 'roll':
      await rollFleet(fleet, admin, roll, report);
      await reportUneven(fleet, admin, rebalance, report);
      return 'region' in command.nodes ? await deleteUnusedTemplates(fleet, report) : undefined;
    case 'remove':
      return await removeNode(fleet, task.node, admin, roll, report);
    case 'remove-count':
      return await removeNodes(fleet, task.count, admin, roll, report);
    case 'rebalance':
      return void (await rebalanceFleet(fleet, admin, rebalance, report));
    case 'watch':
      return await watchFleet(fleet, admin, rebalance, watch, report, end);
  }
}

function createFleet({ nodes, commands }: RollCommand, reach: Reach, gcloud: Gcloud): Fleet {
  if (!('region' in nodes)) return createStaticFleet(nodes, commands);
  const fleet = createInstanceGroupFleet(nodes, commands, gcloud);
  return {
    ...fleet,
    async list() {
      const listed = await fleet.list();
      reach.keepOnly(listed);
      return listed;
    },
  };
}

function createReach({ iap, nodes }: RollCommand): Reach {
  return iap && 'region' in nodes ? createIapReach(nodes.adminPort, nodes.project) : DIRECTLY;
}

/** Executes a command until a signal arrives. Resolves with the exit code after everything has ended. */
async function runUntilSignalled(command: RollCommand): Promise<number> {
  const end = new AbortController();
  const signalled = new Promise<number>((resolve) => {
    for (const [signal, number] of Object.entries(SIGNALS)) {
      process.once(signal, () => {
        end.abort();
        if (command.task.kind !== 'watch') {
          const added = command.roll.surge > 0 ? '; added nodes stay' : '';
          console.error(
            `${signal}: a node that is draining continues, and is not replaced${added}`,
          );
        }
        resolve(command.task.kind === 'watch' ? 0 : EXIT_SIGNALLED + number);
      });
    }
  });
  await using reach = createReach(command);
  const done = carryOut(command, reach, createGcloud(end.signal), end.signal).then(() => 0);
  return await Promise.race([done, signalled]);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(ROLL_USAGE);
    return 0;
  }
  try {
    return await runUntilSignalled(readRollCommand(args, process.env));
  } catch (error) {
    const isUsage = error instanceof UsageError;
    console.error((error as Error).message);
    if (isUsage) console.error('(npm run roll -- --help lists the options)');
    return isUsage ? EXIT_USAGE : EXIT_FAILED;
  }
}

// Operations that a signal interrupted may still be pending; nobody waits for them.
process.exit(await main(process.argv.slice(2)));
