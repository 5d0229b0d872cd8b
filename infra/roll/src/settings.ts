import { parseArgs } from 'node:util';
import type { FleetCommands } from './fleet.ts';
import type { InstanceGroup } from './instance-group.ts';
import type { FleetNode } from './reach.ts';
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
  (nothing)                  replaces all nodes, a few at a time; then as --clean-templates
  --remove NAME              drains one node and removes it
  --remove-count N           the same with N nodes, those with the fewest clients
  --clean-templates          with --mig: deletes the group's templates that no VM uses; also when the group is gone
  --rebalance                has nodes above the average shed clients slowly
  --watch                    looks repeatedly, and rebalances if nodes stay uneven; ends on SIGTERM

TOKEN of the admin ports, one of:
  --token-file FILE          a file with the token; give it twice for the new and the previous token
  --token-secret NAME        a secret in Secret Manager, read by gcloud: the newest two versions are tried
  ADMIN_TOKEN                the environment variable with the token

OPTIONS
  --replace COMMAND          replaces a drained node; {node} and {url} are filled in
  --remove-command COMMAND   removes a drained node
  --parallel N               nodes at a time (1; with --surge N: N)
  --surge N                  with --mig: adds N nodes first, so that the others carry no more than before
  --poll SECONDS             between two requests to a node that the roll waits for (1)
  --drain-seconds SECONDS    the longest drain of a node: its DRAIN_SECONDS (60)
  --drain-timeout SECONDS    until a drained node must have ended (30 more than that)
  --ready-timeout SECONDS    until its replacement must be ready (300)
  --health-window SECONDS    for which all nodes must then stay ready (15)
  --over SECONDS             of each round of a rebalance (60)
  --tolerance SHARE          how far a node may be from the average, as a share of it (0.1)
  --max-share SHARE          of all clients that may be moved in a second (0.02)
  --least-off N              least difference from the average, in clients (1; with --watch: 100)
  --max-rounds N             of a rebalance (5)
  --interval SECONDS         between two looks of --watch (20)
  --looks N                  in a row that must find nodes uneven (3)
  --rest SECONDS             for which nodes are left alone after N rounds without success (900)`;

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export type RollTask =
  | { readonly kind: 'roll' }
  | { readonly kind: 'remove'; readonly node: string }
  | { readonly kind: 'remove-count'; readonly count: number }
  | { readonly kind: 'clean-templates' }
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

/** How long a node may take to end after its drain, in ms: up to 10 s for its stop, and a reserve. */
const END_RESERVE_MS = 30_000;

/** More nodes than any group has. */
const MOST_NODES = 1_000;

/**
 * The least difference from the average, in clients: an operator who asks wants it even, and a watch must stay quiet.
 */
const LEAST_OFF = { asked: '1', watching: '100' } as const;

const OPTIONS = {
  node: { type: 'string', multiple: true },
  mig: { type: 'string' },
  region: { type: 'string' },
  project: { type: 'string' },
  'admin-port': { type: 'string', default: '9080' },
  remove: { type: 'string' },
  'remove-count': { type: 'string' },
  'clean-templates': { type: 'boolean' },
  rebalance: { type: 'boolean' },
  watch: { type: 'boolean' },
  iap: { type: 'boolean' },
  'token-file': { type: 'string', multiple: true },
  'token-secret': { type: 'string' },
  replace: { type: 'string' },
  'remove-command': { type: 'string' },
  parallel: { type: 'string' },
  surge: { type: 'string', default: '0' },
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
 * @throws UsageError if it is wrong.
 */
export function readRollCommand(
  args: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): RollCommand {
  const values = parse(args);
  const number = (name: keyof Values, min: number, max: number, fallback?: string): number => {
    const value = Number(values[name] ?? fallback);
    if (value >= min && value <= max) return value;
    throw new UsageError(`--${name} must be a number from ${min} to ${max}`);
  };
  const integer = (name: keyof Values, min: number, max: number, fallback?: string): number =>
    Math.trunc(number(name, min, max, fallback));
  const task = readTask(values, () => integer('remove-count', 1, MOST_NODES));
  const surge = integer('surge', 0, MOST_NODES);
  const milliseconds = (name: keyof Values, min = 0): number => number(name, min, 3_600) * 1_000;
  const plannedDrainMs = milliseconds('drain-seconds');
  const command: RollCommand = {
    task,
    nodes: readNodes(values, integer('admin-port', 1, 65_535)),
    commands: { replace: values.replace, remove: values['remove-command'] },
    token: readTokenSource(values, variables),
    iap: values.iap === true,
    roll: {
      parallel: integer('parallel', 1, MOST_NODES, String(Math.max(1, surge))),
      surge,
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

function checkTogether({ iap, nodes, roll, task }: RollCommand): void {
  const isGroup = 'region' in nodes;
  if (iap && !isGroup) throw new UsageError('--iap needs --mig: it needs names and zones');
  if (task.kind === 'clean-templates' && !isGroup) {
    throw new UsageError('--clean-templates needs --mig: other nodes have no templates');
  }
  if (roll.surge > 0 && !isGroup) {
    throw new UsageError('--surge needs --mig: other nodes cannot be added');
  }
  if (roll.surge > 0 && task.kind !== 'roll') {
    throw new UsageError('--surge is for a roll');
  }
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

function readTask(values: Values, readCount: () => number): RollTask {
  const { remove } = values;
  const asked: RollTask[] = [
    ...(remove === undefined ? [] : [{ kind: 'remove', node: remove } as const]),
    ...(values['remove-count'] === undefined
      ? []
      : [{ kind: 'remove-count', count: readCount() } as const]),
    ...(values['clean-templates'] === true ? [{ kind: 'clean-templates' } as const] : []),
    ...(values.rebalance === true ? [{ kind: 'rebalance' } as const] : []),
    ...(values.watch === true ? [{ kind: 'watch' } as const] : []),
  ];
  if (asked.length > 1) {
    const names = '--remove, --remove-count, --clean-templates, --rebalance and --watch';
    throw new UsageError(`${names} are commands of their own`);
  }
  return asked[0] ?? { kind: 'roll' };
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
  const { 'token-file': paths, 'token-secret': name, project } = values;
  if (paths !== undefined && name !== undefined) {
    throw new UsageError('--token-file and --token-secret cannot be combined');
  }
  if (paths !== undefined) return { kind: 'file', paths };
  if (name !== undefined) return { kind: 'secret', name, project };
  const text = variables[TOKEN_VARIABLE];
  return text === undefined || text === '' ? { kind: 'none' } : { kind: 'variable', text };
}
