import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bringRedisServer, WORKSPACE_ROOT } from '@tradewind/dev';
import { BUN, CHECKOUT_NODE, type CheckoutName, rootOf } from './contenders.ts';
import { currentNetwork, type Network } from './own-network.ts';

/** The machine and versions of a result. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  /** Versions by name, e.g. `node`. */
  readonly versions: Readonly<Record<string, string>>;
  /** The load average of the last minute, before anything was started: processes that wanted a core. */
  readonly loadAverage: number;
  readonly commit: string;
  /** Commit and Node of each other checkout. */
  readonly checkouts: Readonly<Record<CheckoutName, string>>;
  readonly network: Network;
}

const NETWORKS: Readonly<Record<Network, string>> = {
  own: 'one of its own: no packet filter, nobody else',
  machine: "the machine's, with the cost of its packet filter: another one needs root on Linux",
};

/** @param checkouts the other checkouts that the edge is compared with. */
export async function describeMachine(checkouts: readonly CheckoutName[]): Promise<Machine> {
  const cores = cpus();
  const others = checkouts.map(async (name) => [name, await describeCheckout(rootOf(name))]);
  return {
    cpu: cores[0]?.model ?? 'unknown',
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    versions: {
      node: process.versions.node,
      bun: await firstLineOf(BUN, ['--version']),
      redis: await redisVersion(),
      ws: versionOf('ws'),
      'socket.io': versionOf('socket.io'),
      ioredis: versionOf('ioredis'),
    },
    loadAverage: Number((await readFile('/proc/loadavg', 'utf8')).split(' ')[0]),
    commit: await commitOf(WORKSPACE_ROOT),
    checkouts: Object.fromEntries(await Promise.all(others)),
    network: currentNetwork(),
  };
}

/** The lines about a machine above a table. */
export function machineLines(machine: Machine): string[] {
  const { cpu, cores, memoryGiB, kernel, versions, loadAverage, commit, checkouts, network } =
    machine;
  const tools = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `machine   ${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, load average ${loadAverage}`,
    `versions  ${tools.join(', ')}; commit ${commit}`,
    ...Object.entries(checkouts).map(([name, state]) => `against   ${name}: ${state}`),
    `network   ${NETWORKS[network]}`,
  ];
}

async function describeCheckout(root: string): Promise<string> {
  const node = await firstLineOf(join(root, CHECKOUT_NODE), ['--version']);
  return `commit ${await commitOf(root)}, node ${node.replace(/^v/, '')}`;
}

function commitOf(root: string): Promise<string> {
  return firstLineOf('git', ['-C', root, 'describe', '--always', '--dirty']);
}

async function redisVersion(): Promise<string> {
  const program = await bringRedisServer((line) => console.error(line));
  const line = await firstLineOf(program, ['--version']);
  return /v=(\S+)/.exec(line)?.[1] ?? line;
}

function versionOf(module: string): string {
  const { version } = createRequire(import.meta.url)(`${module}/package.json`) as {
    readonly version: string;
  };
  return version;
}

async function firstLineOf(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, [...args]);
    return stdout.split('\n')[0] ?? '';
  } catch {
    return 'unknown';
  }
}
