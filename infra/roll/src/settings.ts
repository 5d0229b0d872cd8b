import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { FleetNode } from './admin-client.ts';
import type { FleetCommands, InstanceGroup } from './fleet.ts';
import type { RebalanceSettings } from './rebalance.ts';
import type { RollSettings } from './roll.ts';

export const ROLL_USAGE = `npm run roll -- [NODES] [WHAT] [OPTIONS]

NODES, one of:
  --node [NAME=]URL          a node's admin URL, e.g. edge-1=http://10.0.0.4:9080; once per node
  --mig NAME --region R      a managed instance group, by means of gcloud
    [--project P] [--admin-port 9080]

WHAT, one of:
  (nothing)                  replaces all nodes, a few at a time
  --remove NAME              drains one node and takes it away
  --rebalance                has nodes above the average shed clients slowly

OPTIONS
  --token-file FILE          holds the bearer token of the admin ports
  --replace COMMAND          replaces a drained node; {node} and {url} are filled in
  --remove-command COMMAND   takes a drained node away
  --parallel N               nodes at a time (1)
  --drain-timeout SECONDS    until a drained node must have ended (90)
  --ready-timeout SECONDS    until its replacement must be ready (300)
  --health-window SECONDS    for which all must then stay ready (15)
  --over SECONDS             of each round of --rebalance (60)
  --tolerance SHARE          of the average that a node may be off (0.1)
  --max-share SHARE          of all clients that may be moved in a second (0.02)
  --max-rounds N             of --rebalance (5)`;

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export type RollTask =
  | { readonly kind: 'roll' }
  | { readonly kind: 'remove'; readonly node: string }
  | { readonly kind: 'rebalance' };

export interface RollCommand {
  readonly task: RollTask;
  readonly nodes: readonly FleetNode[] | InstanceGroup;
  readonly commands: FleetCommands;
  readonly token: string | undefined;
  readonly roll: RollSettings;
  readonly rebalance: RebalanceSettings;
}

const POLL_MS = 1_000;

const OPTIONS = {
  node: { type: 'string', multiple: true },
  mig: { type: 'string' },
  region: { type: 'string' },
  project: { type: 'string' },
  'admin-port': { type: 'string', default: '9080' },
  remove: { type: 'string' },
  rebalance: { type: 'boolean' },
  'token-file': { type: 'string' },
  replace: { type: 'string' },
  'remove-command': { type: 'string' },
  parallel: { type: 'string', default: '1' },
  'drain-timeout': { type: 'string', default: '90' },
  'ready-timeout': { type: 'string', default: '300' },
  'health-window': { type: 'string', default: '15' },
  over: { type: 'string', default: '60' },
  tolerance: { type: 'string', default: '0.1' },
  'max-share': { type: 'string', default: '0.02' },
  'max-rounds': { type: 'string', default: '5' },
} as const;

/**
 * Reads the command line.
 *
 * @throws UsageError where it is wrong.
 */
export function readRollCommand(args: readonly string[]): RollCommand {
  const values = parse(args);
  const number = (name: keyof typeof values, min: number, max: number): number => {
    const value = Number(values[name]);
    if (value >= min && value <= max) return value;
    throw new UsageError(`--${name} must be a number from ${min} to ${max}`);
  };
  const seconds = (name: keyof typeof values): number => number(name, 0, 3_600) * 1_000;
  return {
    task: readTask(values),
    nodes: readNodes(values, number('admin-port', 1, 65_535)),
    commands: { replace: values.replace, remove: values['remove-command'] },
    token: readToken(values['token-file']),
    roll: {
      parallel: Math.trunc(number('parallel', 1, 1_000)),
      drainTimeoutMs: seconds('drain-timeout'),
      readyTimeoutMs: seconds('ready-timeout'),
      healthWindowMs: seconds('health-window'),
      pollMs: POLL_MS,
    },
    rebalance: {
      tolerance: number('tolerance', 0.01, 1),
      overSeconds: Math.trunc(number('over', 1, 3_600)),
      maxSharePerSecond: number('max-share', 0.0001, 1),
      maxRounds: Math.trunc(number('max-rounds', 1, 100)),
    },
  };
}

type Values = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readTask(values: Values): RollTask {
  if (values.remove !== undefined && values.rebalance === true) {
    throw new UsageError('--remove and --rebalance are two commands');
  }
  if (values.remove !== undefined) return { kind: 'remove', node: values.remove };
  return values.rebalance === true ? { kind: 'rebalance' } : { kind: 'roll' };
}

function readNodes(values: Values, adminPort: number): RollCommand['nodes'] {
  const { node: named = [], mig, region, project } = values;
  if (named.length > 0 === (mig !== undefined)) {
    throw new UsageError('name the nodes by --node or by --mig');
  }
  if (mig === undefined) return named.map(readNode);
  if (region === undefined) throw new UsageError('--mig needs --region');
  return { name: mig, region, project, adminPort };
}

function readNode(text: string): FleetNode {
  const [, name, url] = /^(?:([\w.-]+)=)?(https?:\/\/.+)$/.exec(text) ?? [];
  if (url === undefined || !URL.canParse(url)) {
    throw new UsageError(`--node ${text} is not [NAME=]URL`);
  }
  return { name: name ?? new URL(url).host, adminUrl: url.replace(/\/+$/, '') };
}

function readToken(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new UsageError(`--token-file: ${(error as Error).message}`);
  }
}
