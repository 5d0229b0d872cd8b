import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { bringFromDebian } from '@tradewind/dev';
import { DEPLOYED_BUFFERS } from './deployed-buffers.ts';

/**
 * A new network has no interface that is up, not even the loopback. Its buffers have the sizes that we deploy: the
 * kernel's own, 4 MiB a socket, would hide for some seconds that a server falls behind, and would hide it longer for
 * the one that hands the kernel more at a time.
 */
const BEHIND_LOOPBACK = [
  'ip link set lo up',
  ...DEPLOYED_BUFFERS.map(({ path, value }) => `echo '${value}' > ${path}`),
  'exec "$@"',
].join(' && ');

/** Names, for a program that was run again, the network that it has left. */
const NETWORK_LEFT = 'TRADEWIND_BENCH_NETWORK_LEFT';

/** The network of a run: the machine's, or a new one that nobody else is in and that has no packet filter. */
export type Network = 'machine' | 'own';

/** The network that this program is in. */
export function currentNetwork(): Network {
  const left = process.env[NETWORK_LEFT];
  return left === undefined || left === nameOfNetwork() ? 'machine' : 'own';
}

/**
 * Returns the command line that gives a command a network with nothing but a loopback, by `unshare` of util-linux, whose
 * sockets have the buffers that we deploy. In the machine's network each packet passes what other programs have installed there, such as Docker's packet filter and
 * hooks of its bridge, and each write costs more.
 */
export function withOwnNetwork(
  command: readonly string[],
): readonly [program: string, args: readonly string[]] {
  return ['unshare', ['--net', 'sh', '-c', BEHIND_LOOPBACK, 'sh', ...command]];
}

/**
 * Whether this machine allows it: on Linux, as root, with `ip` of iproute2. If only `ip` is missing, apt installs it,
 * if that needs no permission.
 */
export async function bringOwnNetwork(report: (line: string) => void): Promise<boolean> {
  if (!(await succeeds('unshare', ['--net', 'true']))) return false;
  const findIp = async () => ((await succeeds('ip', ['-Version'])) ? 'ip' : undefined);
  if ((await bringFromDebian(findIp, ['iproute2'], report)) === undefined) return false;
  return await succeeds(...withOwnNetwork(['true']));
}

/**
 * Runs this program again in a network of its own, with the same arguments and output, and returns its exit code. The
 * new process has a channel to this one and ends when the channel closes.
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

/** Undefined if the kernel has no network namespaces. */
function nameOfNetwork(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/net');
  } catch {
    return undefined;
  }
}
