import { resolve } from 'node:path';
import { checkRedisUrl } from '@tradewind/bus';
import { isChannelName } from '@tradewind/protocol';
import { type Environment, type EnvironmentReader, readConfig } from '@tradewind/runtime';
import { SUBSCRIPTION_MODES } from '../load/clients/subscription-plan.ts';
import { MIN_PAYLOAD_BYTES } from '../load/publishing/publication-payload.ts';
import { BIG_RAMP_RATE, PRESETS, type Preset, TRIAL } from './presets.ts';

/** Connections that one process, edge or load, gets by default. Some systems allow a process only 20,000 open files. */
const CONNECTIONS_PER_PROCESS = 15_000;

const NAMED: readonly (readonly [string, Preset])[] = [
  ['trial', TRIAL],
  ...Object.entries(PRESETS),
];

export const CAPACITY_USAGE = `usage: npm run capacity -- [${NAMED.map(([name]) => name).join(' | ')}]

Opens many WebSocket clients, publishes, and checks that each client receives what it should.
A preset sets the defaults of these variables; without one it is a trial of a minute. All start one edge for
each ${CONNECTIONS_PER_PROCESS} clients here.

${NAMED.map(describePreset).join('\n')}

  TARGET_CONNECTIONS   clients to open
  RAMP_RATE            clients opened a second (${TRIAL.rampRate}; ${BIG_RAMP_RATE} in high and ultimate)
  DURATION             how long to publish, in seconds
  SUBSCRIPTION_MODE    all | single | random: all channels, the first one, or some by chance
  CHANNELS_PER_CLIENT  channels of each client, for random (${TRIAL.channelsPerClient})
  CHANNELS             number of channels
  CHANNEL_PREFIX       prefix of their names (capacity): capacity.0, capacity.1, …
  PUBLISH_RATE         publications a second, over all channels
  PAYLOAD_BYTES        size of each, at least ${MIN_PAYLOAD_BYTES} (150)
  HISTORY_SIZE         publications that a channel keeps (0). If 1 or more, they are published by the publish
                       script, with offsets, as ingest does; if 0, by plain PUBLISH
  WIRE                 v1 | v2: whether clients ask for text frames or for binary ones (v1)
  SLOW_SHARE           share of clients that read slowly, from 0 to 1 (0). Over loopback the kernel holds some
                       MB for each before the edge's queues fill: publish more than that
  SLOW_BYTES_PER_SECOND  bytes a second that each of these reads (2000)
  STALLED_SHARE        share of clients that read nothing once subscribed (0)

  EDGES                edges to start here, on loopback; variables that begin with EDGE_ go to them
  TARGET_URLS          or: ws:// or wss:// URLs of a deployment, comma-separated. Certificates are verified;
                       NODE_EXTRA_CA_CERTS names the file of a private CA. To its edges this machine is one address:
                       EDGE_ADDRESS_MAX_CONNECTIONS and EDGE_ADDRESS_HANDSHAKE_RATE must allow the clients
  REDIS_URL            where to publish; needed with TARGET_URLS, otherwise a Redis is started if it is not set

  TOKEN_FILE           a file of tokens (JWT), one a line, which clients use in turn; for edges with EDGE_AUTH=jwt. They
                       must allow the channels above, last for longer than the run, and have as many subjects as
                       EDGE_SUBJECT_MAX_CONNECTIONS makes necessary

  LOAD_PROCESSES       processes that hold the clients (one for each ${CONNECTIONS_PER_PROCESS})
  SAMPLE_EVERY         of how many publications to one client the latency of one is measured (20)
  SEED                 decides what random clients subscribe to (1)
  MIN_SUCCESS_RATE     least share of clients that must get connected, in percent (99)
  MAX_P99_MS           highest 99th percentile of the latency, in ms (1000)
  RESULTS_DIR          where the report goes (results)

Exit code 1: a criterion is not met. Exit code 2: a setting is wrong.
`;

function describePreset([name, preset]: readonly [string, Preset]): string {
  const { connections, duration, mode, channelsPerClient, channels, publishRate } = preset;
  const held = mode === 'random' ? `${channelsPerClient} of ${channels} channels` : 'all channels';
  return `  ${name.padEnd(10)} ${connections} clients, ${held}, ${publishRate} publications/s, ${duration} s`;
}

/** The servers that receive the load. */
export type TargetSettings =
  | {
      readonly kind: 'local';
      readonly edges: number;
      /** Variables for the edges, `EDGE_…` and `WS_…`. */
      readonly environment: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'remote'; readonly urls: readonly string[]; readonly redisUrl: string };

export const WIRES = ['v1', 'v2'] as const;
export type Wire = (typeof WIRES)[number];

export interface CapacitySettings extends Preset {
  /** The preset's name; `trial` if none was named. */
  readonly name: string;
  readonly channelNames: readonly string[];
  readonly payloadBytes: number;
  /** What clients ask for: text frames, or binary ones. */
  readonly wire: Wire;
  /** Publications that the history of a channel keeps; 0: publications without offsets. */
  readonly historySize: number;
  /** Shares of the clients, from 0 to 1. */
  readonly slowShare: number;
  readonly stalledShare: number;
  readonly slowBytesPerSecond: number;
  /** What clients say who they are with, in turn; none where edges do not ask. Secret. */
  readonly tokens: readonly string[];
  readonly target: TargetSettings;
  readonly connectionsPerProcess: number;
  readonly sampleEvery: number;
  readonly seed: number;
  /** From 0 to 1. */
  readonly minSuccessRate: number;
  readonly maxP99Ms: number;
  /** An absolute path. */
  readonly resultsFolder: string;
}

/** Files that an edge or a load process opens besides its connections. */
const SPARE_FILES = 500;

/** A higher number is a typing error. */
const MAX_CONNECTIONS = 2_000_000;
const MAX_RATE = 1_000_000;
const MAX_CHANNELS = 1_000_000;
const MAX_PROCESSES = 512;
const MAX_HISTORY_SIZE = 100_000;

/** A day. */
const MAX_SECONDS = 86_400;

/** The largest payload that an edge takes by default. */
const MAX_PAYLOAD_BYTES = 64 * 1024;

/**
 * Reads the settings.
 *
 * @param args the arguments of the command: a preset's name or nothing.
 * @param openFiles how many files a process may open here; undefined if unknown.
 * @param folder the folder that `RESULTS_DIR` is relative to.
 * @throws ConfigError with all mistakes.
 */
export function readCapacitySettings(
  args: readonly string[],
  environment: Environment,
  openFiles: number | undefined,
  folder: string,
): CapacitySettings {
  return readConfig(environment, (env) => read(args, environment, env, openFiles, folder));
}

function read(
  args: readonly string[],
  environment: Environment,
  env: EnvironmentReader,
  openFiles: number | undefined,
  folder: string,
): CapacitySettings {
  const [name = 'trial', ...others] = args;
  const preset = name === 'trial' ? TRIAL : PRESETS[name];
  if (preset === undefined || others.length > 0) {
    const choices = ['trial', ...Object.keys(PRESETS)].join(', ');
    env.reject('preset', `${JSON.stringify(args.join(' '))} must be one of ${choices}, or nothing`);
  }
  const from = preset ?? TRIAL;
  const int = (variable: string, fallback: number, min: number, max: number): number =>
    env.integer(variable, { default: fallback, min, max });

  const connections = int('TARGET_CONNECTIONS', from.connections, 1, MAX_CONNECTIONS);
  const channels = int('CHANNELS', from.channels, 1, MAX_CHANNELS);
  const mode = env.choice('SUBSCRIPTION_MODE', { default: from.mode, choices: SUBSCRIPTION_MODES });
  const prefix = env.string('CHANNEL_PREFIX', { default: 'capacity' });
  if (!isChannelName(`${prefix}.${channels}`)) {
    env.reject('CHANNEL_PREFIX', `${JSON.stringify(prefix)} cannot begin the name of a channel`);
  }
  const processes = int(
    'LOAD_PROCESSES',
    Math.ceil(connections / CONNECTIONS_PER_PROCESS),
    1,
    MAX_PROCESSES,
  );
  const settings: CapacitySettings = {
    name,
    connections,
    rampRate: int('RAMP_RATE', from.rampRate, 1, MAX_RATE),
    duration: int('DURATION', from.duration, 1, MAX_SECONDS),
    mode,
    channelsPerClient: int('CHANNELS_PER_CLIENT', from.channelsPerClient, 1, MAX_CHANNELS),
    channels,
    channelNames: Array.from({ length: channels }, (_, i) => `${prefix}.${i}`),
    publishRate: int('PUBLISH_RATE', from.publishRate, 1, MAX_RATE),
    payloadBytes: int('PAYLOAD_BYTES', 150, MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES),
    historySize: int('HISTORY_SIZE', 0, 0, MAX_HISTORY_SIZE),
    wire: env.choice('WIRE', { default: 'v1', choices: WIRES }),
    slowShare: share(env, 'SLOW_SHARE'),
    stalledShare: share(env, 'STALLED_SHARE'),
    slowBytesPerSecond: int('SLOW_BYTES_PER_SECOND', 2_000, 1, MAX_RATE * 1_000),
    tokens: env.fileContents('TOKEN_FILE')?.split(/\s+/).filter(Boolean) ?? [],
    target: readTarget(env, environment, connections),
    connectionsPerProcess: Math.ceil(connections / processes),
    sampleEvery: int('SAMPLE_EVERY', 20, 1, MAX_RATE),
    seed: int('SEED', 1, 0, MAX_RATE),
    minSuccessRate: int('MIN_SUCCESS_RATE', 99, 0, 100) / 100,
    maxP99Ms: int('MAX_P99_MS', 1_000, 1, MAX_SECONDS * 1_000),
    resultsFolder: resolve(folder, env.string('RESULTS_DIR', { default: 'results' })),
  };
  checkTogether(env, settings, openFiles);
  return settings;
}

function readTarget(
  env: EnvironmentReader,
  environment: Environment,
  connections: number,
): TargetSettings {
  const wanted = Math.ceil(connections / CONNECTIONS_PER_PROCESS);
  const edges = env.integer('EDGES', { default: wanted, min: 1, max: MAX_PROCESSES });
  const urls = env.list('TARGET_URLS', {
    default: [],
    allowed: {
      pattern: /^wss?:\/\/[^\s/]+\/\S*$/,
      description: 'like ws://host:8080/ws or wss://host/ws',
    },
  });
  const redisUrl = env.secret('REDIS_URL');
  const fault = redisUrl === undefined ? undefined : checkRedisUrl(redisUrl);
  if (fault !== undefined) env.reject('REDIS_URL', fault);
  if (urls.length === 0) {
    return { kind: 'local', edges, environment: edgeVariables(environment) };
  }
  if (env.isSet('EDGES')) {
    env.reject('EDGES', 'start edges here, or set TARGET_URLS to load others: not both');
  }
  if (redisUrl === undefined) {
    env.reject('REDIS_URL', 'must name the Redis that the edges of TARGET_URLS read');
  }
  return { kind: 'remote', urls, redisUrl: redisUrl ?? '' };
}

function edgeVariables(environment: Environment): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (/^(EDGE|WS)_/.test(name) && value !== undefined) variables[name] = value;
  }
  return variables;
}

function share(env: EnvironmentReader, name: string): number {
  const text = env.string(name, {
    default: '0',
    allowed: { pattern: /^(0|1|0?\.\d{1,6}|1\.0+)$/, description: 'a share from 0 to 1' },
  });
  return Number(text);
}

function checkTogether(
  env: EnvironmentReader,
  settings: CapacitySettings,
  openFiles: number | undefined,
): void {
  const { slowShare, stalledShare, target, connections, channels, channelsPerClient } = settings;
  if (slowShare + stalledShare >= 1) {
    env.reject('STALLED_SHARE', 'with SLOW_SHARE leaves no client that reads steadily');
  }
  if (settings.mode === 'random' && channelsPerClient > channels) {
    env.reject('CHANNELS_PER_CLIENT', `${channelsPerClient} is more than CHANNELS, ${channels}`);
  }
  if (openFiles === undefined) return;
  const mostEach = openFiles - SPARE_FILES;
  if (settings.connectionsPerProcess > mostEach) {
    const least = Math.ceil(connections / mostEach);
    env.reject('LOAD_PROCESSES', `a process may open ${openFiles} files here: at least ${least}`);
  }
  if (target.kind === 'local' && Math.ceil(connections / target.edges) > mostEach) {
    const least = Math.ceil(connections / mostEach);
    env.reject('EDGES', `a process may open ${openFiles} files here: at least ${least}`);
  }
}
