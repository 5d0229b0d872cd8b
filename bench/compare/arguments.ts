import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { checkoutFault } from './arena/checkout.ts';
import {
  type CheckoutName,
  CONTENDER_NAMES,
  type Contender,
  isCheckout,
  rootOf,
} from './arena/contenders.ts';

export const BENCH_USAGE = `usage: npm run bench -- COMMAND [options]

  saturation   the highest rate that is delivered whole: edge against the others
  overload     the edge at twice that rate: alive, answering, reporting every loss
  predecessor  7,000 clients on 5 channels: CPU per delivery at 33,000/s, latency at 420,000/s
  wide         5,000 clients, each on 20 of 2,000 channels, a million deliveries/s
  writes       what send saves against the sockets' streams (EDGE_WRITES)
  workers      hub and 2 worker threads against one thread, on the same core
  memory       15,000 idle clients, then 5,000 of which 1,000 stall: bytes each, p99 of the others
  heartbeats   14,000 clients that connect within 5 s: latency with pings against without, and the turns of an idle edge
  identity     what tokens cost: CPU and bytes a connection, and CPU per delivery, with EDGE_AUTH=jwt against none
  storm        10,000 clients with tokens that come at once: until all are there, and what 500 others notice
  latest       1,000 clients that want the latest four times a second beside 1,000 that want all: what they cost
  encode       20,000 publications/s over 2,000 channels: what binary frames cost the hub's thread
  index        what the subscription index costs at 10 to 1,000,000 subscriptions
  safety       what offsets cost an edge while nothing is lost: the publish script against plain PUBLISH
  hot-path     time and allocations per delivery, from the index to the socket, in both formats
  sdk          what the client's SDK costs a program: µs per publication, and what 10,000 channels hold
  wire-size    bytes of publications as binary frames against text frames and other ways, by what is published
  console      what a console of 100 nodes with 20 pages costs Redis, itself and a browser (four minutes)

  --seconds N        length of a measured run (30; memory 120; heartbeats 60; console 60)
  --pairs N          alternating pairs (5; predecessor 15, safety 6), or rounds of memory's four runs
  --clients N        clients (default above; saturation and safety 1,000; memory: both kinds)
  --payload BYTES    payload of a publication (500; memory 15,000)
  --against A,B      opponents of the edge in saturation, predecessor and wide: ws-per-client, ws-shared, socket.io,
                     bun, edge.v2 (the same edge with binary frames), edge@PATH; in workers and memory edge@PATH alone
  --workers N        worker threads for workers (2)
  --phases A,B       of console: cost (--seconds without a page, and as long with 20), memory (--seconds with 20 pages,
                     what console and page hold once a minute), or both (both)
  --help             this text
  --quick            100 clients, 3 s, one pair: shows only that it works (saturation still searches,
                     for 6 minutes against all)
  --short            saturation, predecessor, memory, safety or identity in at most five minutes on a quiet machine

edge@PATH is the edge of another installed checkout of this project. It starts in the same way: by its own Node, from
its own services/edge/src/main.ts, with the same settings and the flags of its own unit. There are ten pairs of 8 s, and
the sides take turns in being first; memory has ten pairs with idle clients, and none with clients that stall.
Verdicts are below the table. At most 2 % slower: the interval of the ratio does not begin above 1.02. At most 300
bytes more a connection: that of the difference does not begin above 300. A verdict needs six pairs; if
one failed, the exit code is 1. A relative PATH starts from the folder in which npm was called.

--short shows whether a change had a large effect. It has too few pairs for an interval with 95 % confidence, and for a
verdict. Other options override its settings, and may make it longer.
  saturation   one pair against bun, runs of 5 s; cannot distinguish rates within 10 %, and none on a busy machine
  predecessor  two pairs against bun, runs of 8 s; cannot distinguish a slow pair from a slow edge, and
               does not measure ws-per-client
  memory       15,000 idle clients, one edge left alone and one collected; does not measure clients that stall
  safety       two pairs, runs of 8 s; shows whether positions are read, and no ratio within 10 %
  identity     two pairs, runs of 8 s

With defaults, saturation takes about an hour, predecessor an hour and a half, memory an hour, the others
that compare 10 to 30, overload three, heartbeats 25, latest five, encode three, index and hot-path one. --pairs and --seconds make them shorter. Against one
edge@PATH saturation and predecessor take about half an hour, memory an hour.

Only the server uses core 0; clients, publisher and Redis share core 1. Nothing else should run. As root on
Linux everything runs in a network of its own, without the machine's packet filter.
`;

export const COMMANDS = [
  'saturation',
  'overload',
  'predecessor',
  'wide',
  'workers',
  'writes',
  'memory',
  'safety',
  'heartbeats',
  'identity',
  'storm',
  'latest',
  'encode',
  'index',
  'hot-path',
  'sdk',
  'wire-size',
  'console',
] as const;
export type Command = (typeof COMMANDS)[number];

/** What console measures: CPU and scripting, and whether memory stays flat. */
export const CONSOLE_PHASES = ['cost', 'memory'] as const;
export type ConsolePhase = (typeof CONSOLE_PHASES)[number];

/** The options of the command line; undefined means the command's own default. */
export interface BenchArguments {
  readonly command: Command;
  readonly seconds: number | undefined;
  readonly pairs: number | undefined;
  readonly clients: number | undefined;
  readonly payloadBytes: number | undefined;
  /** The path of a checkout is absolute, and the checkout is installed. */
  readonly against: readonly Contender['name'][] | undefined;
  readonly workers: number | undefined;
  readonly phases: readonly ConsolePhase[] | undefined;
  readonly quick: boolean;
  readonly short: boolean;
}

/** A mistake in the command line; its message is all that must be shown. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Longest measured run, in s: a day. */
const MAX_SECONDS = 86_400;
const MAX_PAIRS = 1_000;
/** One load process holds all clients, and many machines allow a process 20,000 files. */
const MAX_CLIENTS = 19_000;
/** The smallest payload has room for its time; the largest is the limit of an edge. */
const MIN_PAYLOAD_BYTES = 32;
const MAX_PAYLOAD_BYTES = 64 * 1024;
const MAX_WORKERS = 64;

/** The opponents that a command accepts. */
const OPPONENTS: Readonly<Partial<Record<Command, 'anything' | 'edge@PATH'>>> = {
  saturation: 'anything',
  predecessor: 'anything',
  wide: 'anything',
  workers: 'edge@PATH',
  memory: 'edge@PATH',
};

const WITH_SHORT_FORM: readonly Command[] = [
  ...(['saturation', 'predecessor', 'memory', 'safety', 'identity'] as const),
];

/**
 * Reads the command line; returns `help` if help is requested. Throws a {@link UsageError} that names the first
 * mistake.
 *
 * @param folder the folder that relative paths of other checkouts start from.
 */
export function readBenchArguments(
  args: readonly string[],
  folder: string = process.cwd(),
): BenchArguments | 'help' {
  const { positionals, values } = parse(args);
  if (values.help) return 'help';
  const [name, ...more] = positionals;
  const command = COMMANDS.find((candidate) => candidate === name);
  if (command === undefined) {
    throw new UsageError(name === undefined ? 'which command?' : `there is no command ${name}`);
  }
  if (more.length > 0) throw new UsageError(`${more[0]} is one command too many`);
  const number = (option: string, text: string | undefined, min: number, max: number) =>
    text === undefined ? undefined : integer(option, text, min, max);
  const { quick = false, short = false } = values;
  if (short && !WITH_SHORT_FORM.includes(command)) {
    throw new UsageError(`--short: only ${WITH_SHORT_FORM.join(', ')} have a short form`);
  }
  if (short && quick) throw new UsageError('--short and --quick: only one of them');
  return {
    command,
    seconds: number('--seconds', values.seconds, 1, MAX_SECONDS),
    pairs: number('--pairs', values.pairs, 1, MAX_PAIRS),
    clients: number('--clients', values.clients, 1, MAX_CLIENTS),
    payloadBytes: number('--payload', values.payload, MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES),
    against: values.against === undefined ? undefined : opponents(command, values.against, folder),
    workers: number('--workers', values.workers, 2, MAX_WORKERS),
    phases: values.phases === undefined ? undefined : phases(command, values.phases),
    quick,
    short,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        seconds: { type: 'string' },
        pairs: { type: 'string' },
        clients: { type: 'string' },
        payload: { type: 'string' },
        against: { type: 'string' },
        workers: { type: 'string' },
        phases: { type: 'string' },
        quick: { type: 'boolean' },
        short: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function integer(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`${option} must be a whole number from ${min} to ${max}, not ${text}`);
}

function phases(command: Command, text: string): readonly ConsolePhase[] {
  if (command !== 'console') throw new UsageError(`--phases: ${command} has none`);
  return text.split(',').map((name) => {
    const found = CONSOLE_PHASES.find((phase) => phase === name);
    if (found === undefined) throw new UsageError(`--phases: there is no phase ${name}`);
    return found;
  });
}

function opponents(command: Command, text: string, folder: string): readonly Contender['name'][] {
  const allowed = OPPONENTS[command];
  if (allowed === undefined) throw new UsageError(`--against: ${command} has no opponents`);
  return text.split(',').map((name) => {
    if (isCheckout(name)) return checkout(name, folder);
    const found = CONTENDER_NAMES.find((candidate) => candidate === name && name !== 'edge');
    if (found === undefined) throw new UsageError(`--against: there is no opponent ${name}`);
    if (allowed === 'anything') return found;
    throw new UsageError(`--against: ${command} takes ${allowed} alone, not ${name}`);
  });
}

function checkout(name: CheckoutName, folder: string): CheckoutName {
  const path = rootOf(name);
  const root = path === '' ? '' : resolve(folder, path);
  const fault = checkoutFault(root);
  if (fault === undefined) return `edge@${root}`;
  throw new UsageError(
    `--against ${name}: ${root} ${fault}; PATH in edge@PATH must be the root folder of an installed checkout of this project`,
  );
}
