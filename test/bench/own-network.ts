import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { promisify } from 'node:util';

/** A network of its own has no interface that is up, the loopback no more than others. */
const BEHIND_LOOPBACK = 'ip link set lo up && exec "$@"';

/** Tells the program which network it is in. */
const NETWORK = 'TRADEWIND_BENCH_NETWORK';

/** What a run uses: the machine's, or one that nobody else is in and that has no packet filter. */
export type Network = 'machine' | 'own';

/** The network that this program was started in. */
export function currentNetwork(environment: NodeJS.ProcessEnv = process.env): Network {
  return environment[NETWORK] === 'own' ? 'own' : 'machine';
}

/**
 * The command line by which a command gets a network of its own with nothing but a loopback, as `unshare` of
 * util-linux makes it. What other programs leave in the machine's, as Docker does with its packet filter and
 * the bridge's hooks, is passed by each packet there, and makes each write dearer.
 */
export function withOwnNetwork(command: readonly string[]): [string, ...string[]] {
  return ['unshare', '--net', 'sh', '-c', BEHIND_LOOPBACK, 'sh', ...command];
}

/** Whether this machine lets us: on Linux, as root, with `ip`. */
export async function canHaveOwnNetwork(): Promise<boolean> {
  const [program, ...args] = withOwnNetwork(['true']);
  try {
    await promisify(execFile)(program, args);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs this program again in a network of its own, with the same arguments and output, and returns its exit
 * code. It ends when we do: its channel to us ends then.
 */
export async function runAgainInOwnNetwork(): Promise<number> {
  const [program, ...args] = withOwnNetwork([process.execPath, ...process.argv.slice(1)]);
  const child = spawn(program, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [NETWORK]: 'own' },
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
