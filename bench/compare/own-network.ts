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
export function withOwnNetwork(
  command: readonly string[],
): readonly [program: string, args: readonly string[]] {
  return ['unshare', ['--net', 'sh', '-c', BEHIND_LOOPBACK, 'sh', ...command]];
}

/**
 * Whether this machine lets us: on Linux, as root, with `ip` of iproute2. Where that alone is missing it is
 * installed by apt, if that needs nobody's leave.
 */
export async function bringOwnNetwork(report: (line: string) => void): Promise<boolean> {
  if (!(await succeeds('unshare', ['--net', 'true']))) return false;
  const findIp = async () => ((await succeeds('ip', ['-Version'])) ? 'ip' : undefined);
  if ((await bringFromDebian(findIp, ['iproute2'], report)) === undefined) return false;
  return await succeeds(...withOwnNetwork(['true']));
}

/**
 * Runs this program again in a network of its own, with the same arguments and output, and returns its exit
 * code. It gets a channel to us, which ends when we do: then it is to end as well.
 */
export async function runAgainInOwnNetwork(): Promise<number> {
  const [program, args] = withOwnNetwork([process.execPath, ...process.argv.slice(1)]);
  const child = spawn(program, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [NETWORK_LEFT]: nameOfNetwork() },
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return await promisify(execFile)(program, args).then(
    () => true,
    () => false,
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
