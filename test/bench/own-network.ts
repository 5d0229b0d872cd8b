import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { bringFromDebian } from '@tradewind/dev';

/** A network of its own has no interface that is up, the loopback no more than others. */
const BEHIND_LOOPBACK = 'ip link set lo up && exec "$@"';

/** Tells a program that was run again which network it has left. */
const NETWORK_LEFT = 'TRADEWIND_BENCH_NETWORK_LEFT';

/** What a run uses: the machine's, or one that nobody else is in and that has no packet filter. */
export type Network = 'machine' | 'own';

/** The network that this program is in. */
export function currentNetwork(): Network {
  const left = process.env[NETWORK_LEFT];
  return left === undefined || left === nameOfNetwork() ? 'machine' : 'own';
}

/**
 * The command line by which a command gets a network of its own with nothing but a loopback, as `unshare` of
 * util-linux makes it. What other programs leave in the machine's, as Docker does with its packet filter and
 * the bridge's hooks, is passed by each packet there, and makes each write dearer.
 */
export function withOwnNetwork(command: readonly string[]): [string, ...string[]] {
  return ['unshare', '--net', 'sh', '-c', BEHIND_LOOPBACK, 'sh', ...command];
}

/**
 * Whether this machine lets us: on Linux, as root, with `ip` of iproute2, which is installed by apt where
 * there is none and where that needs nobody's leave.
 */
export async function canHaveOwnNetwork(report: (line: string) => void): Promise<boolean> {
  if ((await bringFromDebian(findIp, ['iproute2'], report)) === undefined) return false;
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
 * code. It gets a channel to us, which ends when we do: then it is to end as well.
 */
export async function runAgainInOwnNetwork(): Promise<number> {
  const [program, ...args] = withOwnNetwork([process.execPath, ...process.argv.slice(1)]);
  const child = spawn(program, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [NETWORK_LEFT]: nameOfNetwork() },
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

async function findIp(): Promise<string | undefined> {
  return await promisify(execFile)('ip', ['-Version']).then(
    () => 'ip',
    () => undefined,
  );
}

/** Undefined where the kernel has no such thing. */
function nameOfNetwork(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/net');
  } catch {
    return undefined;
  }
}
