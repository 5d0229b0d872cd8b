import { readFileSync } from 'node:fs';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import type { Latest } from '@tradewind/client';
import { readRedisUrl } from './redis.ts';

export const USAGE = `tradewind COMMAND

  pub CHANNEL [PAYLOAD|-]     publishes, and prints the channel, the epoch and the offset
      --key KEY               publishes once for this key, however often it is called (10 minutes)
      --lines                 publishes each line of the input
      --history N             how many publications the channel's history keeps (1000)
      Without PAYLOAD, or with -, the payload is read from the input, without its last line feed.
  sub CHANNEL…                prints what comes, and what is lost, until Ctrl-C
      --since EPOCH:OFFSET    continues behind this position (one channel)
      --history N             begins with the latest N publications
      --latest MS             prints the newest of each 100, 250, 500, 1000 or 2000 ms, and how many it skipped
      --count N               ends after N publications
  channel CHANNEL             prints epoch, offset and history of a channel, and how many nodes listen
  check                       asks an edge and Redis what they are, and whether trades flow from one to the other
      --channel CHANNEL       the channel to try it with (tradewind.check)
  migrate --from URL --to URL copies channels, idempotency keys and revocations to another Redis, or to a Cluster; publishers must be paused
      --running               copies ahead while they are not: run it once more without this when they are
      --from-password-file FILE, --to-password-file FILE
                              hold the passwords of the users that the URLs name
      --from-google, --to-google
                              log in by the token of this VM's account instead, as services do with REDIS_AUTH=google

Options of all commands:
  --redis URL                 Redis (REDIS_URL, or redis://127.0.0.1:6379; its password may be in REDIS_PASSWORD_FILE)
  --cluster                   it is a node of a Cluster (REDIS_MODE=cluster, or a URL with several hosts: redis://a:6379,b:6379)
  --edge URL                  an edge, or the balancer before edges (ws://127.0.0.1:8080/ws); again for each further edge where there is
                              no balancer: sub goes to the next one when one is lost or drained, and check asks each
  --token-file FILE           holds the token that edges want of clients
  --json                      prints JSON, one object a line
  --help
  --version`;

/** The version of this package; a test holds it to package.json. */
export const VERSION = '0.1.0';

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What every command may be told. */
export interface CommonSettings {
  readonly redisUrl: string;
  /** Of `REDIS_PASSWORD_FILE`; it wins over the URL's. */
  readonly redisPassword: string | undefined;
  /** `redisUrl` has nodes of a Cluster. */
  readonly isCluster: boolean;
  /** Edges of the Cluster subscribe by SUBSCRIBE (`REDIS_PUBSUB=classic`). */
  readonly isClassic: boolean;
  /** The balancer, or every edge where there is none. */
  readonly edgeUrls: readonly [URL, ...URL[]];
  /** No `--edge` named them. */
  readonly isDefaultEdge: boolean;
  readonly token: string | undefined;
  readonly json: boolean;
}

export interface PubSettings extends CommonSettings {
  readonly channel: string;
  /** Undefined: it is read from the input. */
  readonly payload: string | undefined;
  readonly key: string | undefined;
  readonly lines: boolean;
  readonly history: number;
}

export interface SubSettings extends CommonSettings {
  readonly channels: readonly string[];
  readonly since: { readonly epoch: string; readonly offset: number } | undefined;
  readonly history: number | undefined;
  /** Undefined: every publication. */
  readonly latest: Latest | undefined;
  /** Publications after which it ends; undefined: never. */
  readonly count: number | undefined;
}

export interface ChannelSettings extends CommonSettings {
  readonly channel: string;
}

export interface MigrateSettings {
  readonly from: string;
  readonly to: string;
  /** Of their files; they win over the URLs'. */
  readonly fromPassword: string | undefined;
  readonly toPassword: string | undefined;
  /** The password is the token of the VM's account. */
  readonly fromGoogle: boolean;
  readonly toGoogle: boolean;
  /** Publishers may run meanwhile. */
  readonly running: boolean;
  readonly json: boolean;
}

export type Command =
  | { readonly name: 'help' }
  | { readonly name: 'version' }
  | { readonly name: 'pub'; readonly settings: PubSettings }
  | { readonly name: 'sub'; readonly settings: SubSettings }
  | { readonly name: 'channel'; readonly settings: ChannelSettings }
  | { readonly name: 'check'; readonly settings: ChannelSettings }
  | { readonly name: 'migrate'; readonly settings: MigrateSettings };

type Environment = Readonly<Record<string, string | undefined>>;

const COMMON = {
  redis: { type: 'string' },
  cluster: { type: 'boolean', default: false },
  edge: { type: 'string', multiple: true },
  'token-file': { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const satisfies ParseArgsOptionsConfig;

const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379';

const DEFAULT_EDGE_URL = 'ws://127.0.0.1:8080/ws';

/** The history that `pub` keeps by default: that of the publisher library. */
const DEFAULT_HISTORY = '1000';

/** Channels of one `sub`: as many as an edge allows a client by default. */
const MAX_CHANNELS = 512;

/** The largest number of publications after which `sub` can end: the largest integer that a double holds exactly. */
const MAX_COUNT = Number.MAX_SAFE_INTEGER;

/** How often edges send the latest, in ms. */
const INTERVALS_MS = [100, 250, 500, 1_000, 2_000] as const;

/** The most that the publish script takes. */
const MAX_HISTORY = 100_000;

/**
 * Reads the command line.
 *
 * @throws UsageError if it is wrong.
 */
export function readCommand(args: readonly string[], environment: Environment): Command {
  const [name, ...rest] = args;
  if (name === '--version') return { name: 'version' };
  if (name === undefined || name === '--help' || name === 'help' || rest.includes('--help'))
    return { name: 'help' };
  switch (name) {
    case 'pub': {
      const { values, positionals } = parse(rest, {
        ...COMMON,
        key: { type: 'string' },
        lines: { type: 'boolean', default: false },
        history: { type: 'string', default: DEFAULT_HISTORY },
      });
      const [channel, payload = '-'] = expectNames(positionals, 1, 2);
      const { key, lines } = values;
      if (lines && key !== undefined)
        throw new UsageError('--key is for one publication, not for --lines');
      if (lines && payload !== '-')
        throw new UsageError('--lines reads the input, so name no payload');
      const settings = {
        ...common(values, environment),
        ...{ channel: channel!, payload: payload === '-' ? undefined : payload, key, lines },
        history: readInteger('history', values.history, MAX_HISTORY),
      };
      return { name, settings };
    }
    case 'sub': {
      const { values, positionals } = parse(rest, {
        ...COMMON,
        ...{ since: { type: 'string' }, history: { type: 'string' } },
        ...{ latest: { type: 'string' }, count: { type: 'string' } },
      });
      const channels = expectNames(positionals, 1, MAX_CHANNELS);
      const { since, history, latest, count } = values;
      if (since !== undefined && channels.length > 1)
        throw new UsageError('--since is a position in one channel');
      const settings = {
        ...{ ...common(values, environment), channels, since: readPosition(since) },
        history: history === undefined ? undefined : readInteger('history', history, MAX_HISTORY),
        latest: latest === undefined ? undefined : readLatest(latest),
        count: count === undefined ? undefined : readInteger('count', count, MAX_COUNT, 1),
      };
      return { name, settings };
    }
    case 'channel': {
      const { values, positionals } = parse(rest, COMMON);
      const [channel] = expectNames(positionals, 1, 1);
      return { name, settings: { ...common(values, environment), channel: channel! } };
    }
    case 'check': {
      const options = {
        ...COMMON,
        channel: { type: 'string', default: 'tradewind.check' },
      } as const;
      const { values, positionals } = parse(rest, options);
      expectNames(positionals, 0, 0);
      return { name, settings: { ...common(values, environment), channel: values.channel } };
    }
    case 'migrate': {
      const { values, positionals } = parse(rest, {
        ...{ from: { type: 'string' }, to: { type: 'string' } },
        ...{ 'from-password-file': { type: 'string' }, 'to-password-file': { type: 'string' } },
        ...{ 'from-google': { type: 'boolean', default: false } },
        ...{ 'to-google': { type: 'boolean', default: false } },
        ...{ running: { type: 'boolean', default: false } },
        ...{ json: { type: 'boolean', default: false } },
      });
      expectNames(positionals, 0, 0);
      const { from, to, running, json } = values;
      if (from === undefined || to === undefined)
        throw new UsageError('migrate needs --from URL and --to URL');
      if (from === to) throw new UsageError('--from and --to are the same Redis');
      for (const side of ['from', 'to'] as const)
        if (values[`${side}-google`] && values[`${side}-password-file`] !== undefined)
          throw new UsageError(`--${side}-google needs no --${side}-password-file`);
      const settings = {
        ...{ from: checkRedis(from), to: checkRedis(to), running, json },
        fromPassword: readSecret('--from-password-file', values['from-password-file']),
        toPassword: readSecret('--to-password-file', values['to-password-file']),
        ...{ fromGoogle: values['from-google'], toGoogle: values['to-google'] },
      };
      return { name, settings };
    }
    default:
      throw new UsageError(`there is no command ${JSON.stringify(name)}`);
  }
}

function parse<const T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function expectNames(names: readonly string[], least: number, most: number): readonly string[] {
  if (names.length >= least && names.length <= most) return names;
  throw new UsageError(`${names.length} names were given, but ${least} to ${most} are expected`);
}

function common(
  values: {
    redis?: string;
    cluster: boolean;
    edge?: string[];
    'token-file'?: string;
    json: boolean;
  },
  environment: Environment,
): CommonSettings {
  const redisUrl = checkRedis(values.redis ?? environment.REDIS_URL ?? DEFAULT_REDIS_URL);
  const hasMany = readRedisUrl(redisUrl)!.hosts.length > 1;
  const [first = DEFAULT_EDGE_URL, ...more] = values.edge ?? [];
  const edge = (text: string): URL => readUrl(text, ['ws:', 'wss:']);
  return {
    redisUrl,
    isCluster: values.cluster || environment.REDIS_MODE === 'cluster' || hasMany,
    isClassic: environment.REDIS_PUBSUB === 'classic',
    redisPassword: readSecret('REDIS_PASSWORD_FILE', environment.REDIS_PASSWORD_FILE),
    edgeUrls: [edge(first), ...more.map(edge)],
    isDefaultEdge: values.edge === undefined,
    token: readSecret('--token-file', values['token-file']),
    json: values.json,
  };
}

function readUrl(text: string, protocols: readonly string[]): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && protocols.includes(url.protocol)) return url;
  // Not the text itself, which may hold a password.
  throw new UsageError(`a URL must begin with ${protocols.join('// or ')}//`);
}

function checkRedis(text: string): string {
  if (readRedisUrl(text) !== undefined) return text;
  // Not the text itself, which may hold a password.
  throw new UsageError('a URL of Redis must be redis://host:port, or rediss:// with TLS');
}

function readInteger(name: string, text: string, most: number, least = 0): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} must be an integer from ${least} to ${most}`);
}

function readLatest(text: string): Latest {
  const everyMs = INTERVALS_MS.find((ms) => String(ms) === text);
  if (everyMs !== undefined) return { everyMs };
  throw new UsageError(`--latest must be one of ${INTERVALS_MS.join(', ')}`);
}

/** A position as `pub` prints it. */
function readPosition(text: string | undefined): SubSettings['since'] {
  if (text === undefined) return undefined;
  const [, epoch, offset] = /^([A-Za-z0-9]{1,16}):(\d{1,16})$/.exec(text) ?? [];
  if (epoch === undefined || !Number.isSafeInteger(Number(offset)))
    throw new UsageError('--since must be EPOCH:OFFSET, as pub and channel print them');
  return { epoch, offset: Number(offset) };
}

function readSecret(name: string, path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new UsageError(`${name}: ${(error as Error).message}`);
  }
}
