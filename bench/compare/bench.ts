// `npm run bench`: compares the edge with its alternatives, on this machine.
import { bringRedisServer } from '@tradewind/dev';
import { startBenchRedis } from './arena/bench-redis.ts';
import { isCheckout } from './arena/contenders.ts';
import { LOAD_CORE, moveToLoadCore } from './arena/cores.ts';
import { describeMachine, machineLines } from './arena/machine.ts';
import { bringOwnNetwork, currentNetwork, runAgainInOwnNetwork } from './arena/own-network.ts';
import { BENCH_USAGE, type BenchArguments, readBenchArguments, UsageError } from './arguments.ts';
import { runCommand } from './commands.ts';
import { writeResult } from './results.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Progress goes to stderr; only the result goes to stdout. */
function report(line: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)}  ${line}`);
}

/** Returns the exit code. A failed verdict is printed and sets it. */
async function bench(asked: BenchArguments, args: readonly string[]): Promise<number> {
  await using stack = new AsyncDisposableStack();
  await moveToLoadCore();
  const context = {
    command: ['npm run bench --', ...args].join(' '),
    startedAt: new Date().toISOString(),
    machine: await describeMachine((asked.against ?? []).filter(isCheckout)),
  };

  async function startRedis(): Promise<string> {
    return stack.use(await startBenchRedis(LOAD_CORE, report)).url;
  }

  const { text, result, failures = [] } = await runCommand(asked, startRedis, report);
  const path = await writeResult(asked.command, context, result);
  const head = [`command   ${context.command}`, ...machineLines(context.machine)];
  console.log([...head, '', text, '', `written to ${path}`].join('\n'));
  return failures.length === 0 ? 0 : EXIT_FAILED;
}

async function main(args: readonly string[]): Promise<number> {
  try {
    // npm runs this program in the workspace's root; INIT_CWD is the folder in which npm was called.
    const asked = readBenchArguments(args, process.env.INIT_CWD);
    if (asked === 'help') {
      console.log(BENCH_USAGE);
      return 0;
    }
    // Installs what must be downloaded before the network is left: a network of its own has no way out.
    await bringRedisServer(report);
    if (currentNetwork() === 'machine' && (await bringOwnNetwork(report))) {
      return await runAgainInOwnNetwork();
    }
    return await bench(asked, args);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`bench: ${error.message}\n\n${BENCH_USAGE}`);
      return EXIT_USAGE;
    }
    console.error(`bench: ${error instanceof Error ? error.stack : error}`);
    return EXIT_FAILED;
  }
}

// Children end with this process, for whatever reason it ends; it also ends if its parent is killed.
process.on('disconnect', () => process.exit(EXIT_FAILED));
process.channel?.unref();
process.exitCode = await main(process.argv.slice(2));
