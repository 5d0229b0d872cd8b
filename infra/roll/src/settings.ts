import { parseArgs } from 'node:util';
import type { FleetNode } from './admin-client.ts';
import type { FleetCommands } from './fleet.ts';
import type { InstanceGroup } from './instance-group.ts';
import type { RebalanceSettings } from './rebalance.ts';
import type { RollSettings } from './roll.ts';
import { TOKEN_VARIABLE, type TokenSource } from './token.ts';
import type { WatchSettings } from './watch.ts';

export const ROLL_USAGE = `npm run roll -- [NODES] [WHAT] [OPTIONS]

NODES, one of:
  --node [NAME=]URL          a node's admin URL, e.g. edge-1=http://10.0.0.4:9080; once per node
  --mig NAME --region R      a managed instance group, by means of gcloud
    [--project P] [--admin-port 9080]
    [--iap]                  through a tunnel of Identity-Aware Proxy to each node

WHAT, one of:
  (nothing)                  replaces all nodes, a few at a time
  --remove NAME              drains one node and takes it away
  --rebalance                has nodes above the average shed clients slowly
  --watch                    goes on looking, and rebalances when nodes stay uneven; ends on SIGTERM

TOKEN of the admin ports, one of:
  --token-file FILE          a file holds it
  --token-secret NAME        Secret Manager does, by means of gcloud: the latest version
  ADMIN_TOKEN                the environment does

OPTIONS
  --replace COMMAND          replaces a drained node; {node} and {url} are filled in
  --remove-command COMMAND   takes a drained node away
  --parallel N               nodes at a time (1)
  --poll SECONDS             between two questions to a node that is waited for (1)
  --drain-seconds SECONDS    that a node takes at most for its drain: its DRAIN_SECONDS (60)
  --drain-timeout SECONDS    until a drained node must have ended (30 more than that)
  --ready-timeout SECONDS    until its replacement must be ready (300)
  --health-window SECONDS    for which all must then stay ready (15)
  --over SECONDS             of each round of a rebalance (60)
  --tolerance SHARE          of the average that a node may be off (0.1)
  --max-share SHARE          of all clients that may be moved in a second (0.02)
  --least-off N              clients that a node must be off the average (1, with --watch 100)
  --max-rounds N             of a rebalance (5)
  --interval SECONDS         between two looks of --watch (20)
  --looks N                  in a row that must find nodes uneven (3)
  --rest SECONDS             for which they are left alone when N rounds did not help (900)`;

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export type RollTask =
  | { readonly kind: 'roll' }
  | { readonly kind: 'remove'; readonly node: string }
  | { readonly kind: 'rebalance' }
  | { readonly kind: 'watch' };

export interface RollCommand {
  readonly task: RollTask;
  readonly nodes: readonly FleetNode[] | InstanceGroup;
  readonly commands: FleetCommands;
  readonly token: TokenSource;
  /** Whether the admin ports are reached through Identity-Aware Proxy. */
  readonly iap: boolean;
  readonly roll: RollSettings;
  readonly rebalance: RebalanceSettings;
  readonly watch: WatchSettings;
}

/** Beyond its drain, what a node is given to end: up to 10 s for its stop, and a reserve. */
const END_RESERVE_MS = 30_000;

/** By how many clients a node must be off: someone who looks on wants it even, and a watch wants it quiet. */
const LEAST_OFF = { asked: '1', watching: '100' } as const;

const OPTIONS = {
  node: { type: 'string', multiple: true },
  mig: { type: 'string' },
  region: { type: 'string' },
  project: { type: 'string' },
  'admin-port': { type: 'string', default: '9080' },
  remove: { type: 'string' },
  rebalance: { type: 'boolean' },
  watch: { type: 'boolean' },
  iap: { type: 'boolean' },
  'token-file': { type: 'string' },
  'token-secret': { type: 'string' },
  replace: { type: 'string' },
  'remove-command': { type: 'string' },
  parallel: { type: 'string', default: '1' },
  poll: { type: 'string', default: '1' },
  'drain-seconds': { type: 'string', default: '60' },
  'drain-timeout': { type: 'string' },
  'ready-timeout': { type: 'string', default: '300' },
  'health-window': { type: 'string', default: '15' },
  over: { type: 'string', default: '60' },
  tolerance: { type: 'string', default: '0.1' },
  'max-share': { type: 'string', default: '0.02' },
  'least-off': { type: 'string' },
  'max-rounds': { type: 'string', default: '5' },
  interval: { type: 'string', default: '20' },
  looks: { type: 'string', default: '3' },
  rest: { type: 'string', default: '900' },
} as const;

/**
 * Reads the command line.
 *
 * @param variables the environment.
 * @throws UsageError where it is wrong.
 */
export function readRollCommand(
  args: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): RollCommand {
  const values = parse(args);
  const task = readTask(values);
  const number = (name: keyof Values, min: number, max: number, fallback?: string): number => {
    const value = Number(values[name] ?? fallback);
    if (value >= min && value <= max) return value;
    throw new UsageError(`--${name} must be a number from ${min} to ${max}`);
  };
  const integer = (name: keyof Values, min: number, max: number, fallback?: string): number =>
    Math.trunc(number(name, min, max, fallback));
  const milliseconds = (name: keyof Values, min = 0): number => number(name, min, 3_600) * 1_000;
  const plannedDrainMs = milliseconds('drain-seconds');
  const command: RollCommand = {
    task,
    nodes: readNodes(values, integer('admin-port', 1, 65_535)),
    commands: { replace: values.replace, remove: values['remove-command'] },
    token: readTokenSource(values, variables),
    iap: values.iap === true,
    roll: {
      parallel: integer('parallel', 1, 1_000),
      plannedDrainMs,
      drainTimeoutMs:
        values['drain-timeout'] === undefined
          ? plannedDrainMs + END_RESERVE_MS
          : milliseconds('drain-timeout'),
      readyTimeoutMs: milliseconds('ready-timeout'),
      healthWindowMs: milliseconds('health-window'),
      pollMs: milliseconds('poll', 0.05),
    },
    rebalance: {
      tolerance: number('tolerance', 0.01, 1),
      leastOff: integer('least-off', 1, 1_000_000, leastOff(task)),
      overSeconds: integer('over', 1, 3_600),
      maxSharePerSecond: number('max-share', 0.0001, 1),
      maxRounds: integer('max-rounds', 1, 100),
    },
    watch: {
      intervalMs: milliseconds('interval', 1),
      looks: integer('looks', 1, 1_000),
      restMs: milliseconds('rest'),
    },
  };
  checkTogether(command);
  return command;
}

function checkTogether({ iap, nodes, roll }: RollCommand): void {
  if (iap && !('region' in nodes))
    throw new UsageError('--iap needs --mig: it goes by names and zones');
  if (roll.plannedDrainMs > roll.drainTimeoutMs) {
    throw new UsageError('--drain-timeout must not be less than --drain-seconds');
  }
}

function leastOff(task: RollTask): string {
  return task.kind === 'watch' ? LEAST_OFF.watching : LEAST_OFF.asked;
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
  const { remove, rebalance = false, watch = false } = values;
  if (Number(remove !== undefined) + Number(rebalance) + Number(watch) > 1) {
    throw new UsageError('--remove, --rebalance and --watch are commands of their own');
  }
  if (remove !== undefined) return { kind: 'remove', node: remove };
  if (watch) return { kind: 'watch' };
  return rebalance ? { kind: 'rebalance' } : { kind: 'roll' };
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

function readTokenSource(
  values: Values,
  variables: Readonly<Record<string, string | undefined>>,
): TokenSource {
  const { 'token-file': path, 'token-secret': name, project } = values;
  if (path !== undefined && name !== undefined) {
    throw new UsageError('--token-file and --token-secret are two tokens');
  }
  if (path !== undefined) return { kind: 'file', path };
  if (name !== undefined) return { kind: 'secret', name, project };
  const text = variables[TOKEN_VARIABLE];
  return text === undefined || text === '' ? { kind: 'none' } : { kind: 'variable', text };
}
