import { basename } from 'node:path';
import { Redis } from 'ioredis';
import { installOnDebian } from './debian.ts';
import { dockerAnswers, startRedisInDocker } from './docker.ts';
import { findFreePort } from './free-port.ts';
import { findRedisServer, startRedisServer } from './redis-server.ts';

/** How long a Redis that somebody else runs may take to answer, in ms. */
const ANSWER_DEADLINE_MS = 5_000;

/** Takes one line for the person who waits. */
export type Report = (line: string) => void;

/** A Redis that answers commands. */
export interface BroughtRedis {
  readonly url: string;
  /** Where it comes from: `REDIS_URL`, a child process, or a container that this process started. */
  readonly origin: 'environment' | 'process' | 'docker';
  /** The shell command to talk to it, such as `redis-cli -p 6379`; holds no password. */
  readonly cli: string;
  /** Sends it a signal, SIGSTOP say; only to a child process. */
  signal?(signal: NodeJS.Signals): void;
  /** Rejects if the child process ends unasked; never resolves. */
  readonly failed: Promise<never>;
  /** Ends a Redis that was started here; leaves any other one running. */
  stop(): Promise<void>;
}

/**
 * Finds or starts a Redis: the one that `REDIS_URL` names; else `redis-server` or `valkey-server` from the PATH; else a
 * container if Docker answers; else, as root on Debian, one that apt installs. If none of these is possible, it rejects with
 * what to do on this system.
 *
 * @param choosePort finds the port for one that is started here.
 */
export async function bringRedis(
  report: Report,
  choosePort: () => Promise<number> = findFreePort,
): Promise<BroughtRedis> {
  const given = process.env.REDIS_URL;
  if (given) {
    await mustAnswer(given);
    const cli = 'redis-cli -u "$REDIS_URL"';
    return { url: given, origin: 'environment', cli, failed: never(), async stop() {} };
  }
  const port = await choosePort();
  const url = `redis://127.0.0.1:${port}`;
  const found = await findRedisServer();
  if (found === undefined && (await dockerAnswers())) {
    report('Starting Redis in Docker (the first time it downloads the image)');
    const container = await startRedisInDocker(port);
    const cli = `docker exec ${container.name} redis-cli`;
    return { url, origin: 'docker', cli, failed: never(), stop: () => container.stop() };
  }
  const program = found ?? (await bringRedisServer(report));
  const server = await startRedisServer({ program, port, args: [] });
  let isStopping = false;
  const failed = server.exited.then(({ code, signal }) => {
    if (isStopping) return never();
    throw new Error(`redis (process ${server.pid}) ended with ${signal ?? `exit code ${code}`}`);
  });
  failed.catch(() => {});
  return {
    url,
    origin: 'process',
    cli: `${basename(program).replace('-server', '-cli')} -p ${port}`,
    failed,
    signal: (signal) => server.signal(signal),
    async stop() {
      isStopping = true;
      await server.stop();
    },
  };
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/**
 * The path of a `redis-server` or `valkey-server`; as root on Debian, installed by apt when there
 * is none. Rejects with what to do on this system otherwise.
 */
export async function bringRedisServer(report: Report): Promise<string> {
  const found = await findRedisServer();
  if (found !== undefined) return found;
  if (await installOnDebian(['redis-server'], report)) {
    const installed = await findRedisServer();
    if (installed !== undefined) return installed;
  }
  throw new Error(howToInstallRedis());
}

/** Returns how to install a Redis on `platform`. */
export function howToInstallRedis(platform: NodeJS.Platform = process.platform): string {
  const ways: Partial<Record<NodeJS.Platform, readonly string[]>> = {
    darwin: ['brew install redis'],
    linux: [
      'Debian, Ubuntu:  sudo apt-get install redis-server',
      'Fedora:          sudo dnf install valkey',
      'Alpine:          sudo apk add redis',
    ],
    win32: ['run this inside WSL (wsl --install), and there: sudo apt-get install redis-server'],
  };
  return [
    'No Redis found: no REDIS_URL, no redis-server or valkey-server on the PATH, no Docker that answers.',
    'One of these brings it:',
    ...(ways[platform] ?? ['install redis-server from your system’s packages']),
    'anywhere:        start Docker, or set REDIS_URL=redis://host:6379 to a Redis that runs',
  ].join('\n  ');
}

async function mustAnswer(url: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: ANSWER_DEADLINE_MS,
    commandTimeout: ANSWER_DEADLINE_MS,
    retryStrategy: null,
  });
  let refusal: Error | undefined;
  redis.on('error', (error) => {
    refusal = error;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    const { message } = refusal ?? (error as Error);
    throw new Error(`the Redis that REDIS_URL names does not answer: ${message}`);
  } finally {
    redis.disconnect();
  }
}
