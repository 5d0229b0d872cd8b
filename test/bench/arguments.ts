import { parseArgs } from 'node:util';
import { CONTENDER_NAMES, type ContenderName } from './contenders.ts';

export const BENCH_USAGE = `usage: npm run bench -- COMMAND [options]

  saturation   the highest rate that is delivered whole: edge against the others
  overload     the edge at twice that rate: alive, answering, telling every loss
  predecessor  7,000 clients on 5 channels: CPU per delivery at 33,000/s, latency at 420,000/s
  wide         5,000 clients, each on 20 of 2,000 channels, a million deliveries/s
  workers      hub and 2 worker threads against one thread, on the same core
  memory       15,000 idle clients, then 5,000 of which 1,000 stall: bytes each, p99 of the others
  pacing       what waiting between flushes costs and saves (EDGE_FLUSH_MS)
  writes       what giving frames to the kernel by send saves, against write and streams (EDGE_WRITES)
  index        what the subscription index costs at 10 to 1,000,000 subscriptions
  safety       what checks and offsets cost while nothing is lost: Redis, CPU, allocations, publishing
  hot-path     time and allocations per delivery, from the index to the socket

  --seconds N        length of a measured run (30; memory 120; safety 30, 60 quiet, 5 publishing)
  --pairs N          alternating pairs (5; predecessor 15), or rounds of memory's four runs
  --clients N        clients (as above; saturation and safety 1,000; memory both)
  --payload BYTES    payload of a publication (500; memory 15,000; safety also 150, for publishing)
  --against A,B      opponents of the edge: ws-per-client, ws-shared, socket.io, bun
  --workers N        worker threads for workers (2)
  --help             this text
  --quick            100 clients, 3 s, one pair: shows that it works and nothing else (saturation still searches,
                     for 6 minutes against all)

As they come, saturation takes about an hour, predecessor an hour and a half, memory an hour, safety 35, the others
that compare 10 to 30, overload three, index and hot-path one. --pairs and --seconds make them shorter.

The server has core 0 to itself; clients, publisher and Redis share core 1. Nothing else should run. As root on
Linux all of it has a network of its own, past the machine's packet filter.
`;

export const COMMANDS = [
  'saturation',
  'overload',
  'predecessor',
  'wide',
  'workers',
  'pacing',
  'writes',
  'memory',
  'safety',
  'index',
  'hot-path',
] as const;
export type Command = (typeof COMMANDS)[number];

/** What was asked for; undefined is the command's own default. */
export interface BenchArguments {
  readonly command: Command;
  readonly seconds: number | undefined;
  readonly pairs: number | undefined;
  readonly clients: number | undefined;
  readonly payloadBytes: number | undefined;
  readonly against: readonly ContenderName[] | undefined;
  readonly workers: number | undefined;
  readonly quick: boolean;
}

/** A mistake of whoever typed the command; its message is all that needs to be shown. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Longest measured run, in s: a day. */
const MAX_SECONDS = 86_400;
const MAX_PAIRS = 1_000;
/** A load process holds them all, and a process may have 20,000 files on many machines. */
const MAX_CLIENTS = 19_000;
/** The smallest payload holds its time, and the largest is what an edge takes. */
const MIN_PAYLOAD_BYTES = 32;
const MAX_PAYLOAD_BYTES = 64 * 1024;
const MAX_WORKERS = 64;

/**
 * Reads the command line; `help` where that is asked for. Throws a {@link UsageError} that names the
 * first mistake.
 */
export function readBenchArguments(args: readonly string[]): BenchArguments | 'help' {
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
  return {
    command,
    seconds: number('--seconds', values.seconds, 1, MAX_SECONDS),
    pairs: number('--pairs', values.pairs, 1, MAX_PAIRS),
    clients: number('--clients', values.clients, 1, MAX_CLIENTS),
    payloadBytes: number('--payload', values.payload, MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES),
    against: values.against === undefined ? undefined : opponents(values.against),
    workers: number('--workers', values.workers, 2, MAX_WORKERS),
    quick: values.quick ?? false,
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
        quick: { type: 'boolean' },
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

function opponents(text: string): readonly ContenderName[] {
  return text.split(',').map((name) => {
    const found = CONTENDER_NAMES.find((candidate) => candidate === name && name !== 'edge');
    if (found === undefined) throw new UsageError(`--against: there is no opponent ${name}`);
    return found;
  });
}
