import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './find-program.ts';
import { type OwnedProcess, startProcess } from './owned-process.ts';

/** How long a server without data may take to listen, in ms; it needs about 20. */
const READY_DEADLINE_MS = 10_000;

/** The programs that serve as Redis, in order of preference. */
const SERVER_PROGRAMS = ['redis-server', 'valkey-server'];

/** The programs to talk to one with, in the same order. */
const CLI_PROGRAMS = ['redis-cli', 'valkey-cli'];

/** The line with which Redis and Valkey say that they listen. */
export const REDIS_READY_LINE = 'Ready to accept connections';

export interface RedisServerOptions {
  /** The program to run, as {@link findRedisServer} returned it. */
  readonly program: string;
  /** The port on 127.0.0.1. */
  readonly port: number;
  /** Further arguments, which take precedence over our own. */
  readonly args: readonly string[];
}

/** The path of `redis-server` or `valkey-server` on the PATH, or undefined. */
export async function findRedisServer(path = process.env.PATH ?? ''): Promise<string | undefined> {
  return await findProgram(SERVER_PROGRAMS, path);
}

/** The path of `redis-cli` or `valkey-cli` on the PATH, or undefined. */
export async function findRedisCli(path = process.env.PATH ?? ''): Promise<string | undefined> {
  return await findProgram(CLI_PROGRAMS, path);
}

/**
 * Starts a Redis without persistence, and resolves when it accepts connections. Its working folder is temporary and removed
 * when it ends. Rejects with the end of its log if it does not start, for instance because the port is taken.
 */
export async function startRedisServer(options: RedisServerOptions): Promise<OwnedProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-redis-'));
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  let server: OwnedProcess;
  try {
    server = await startProcess({
      name: 'redis-server',
      command: options.program,
      args: [
        ...['--bind', '127.0.0.1', '--port', String(options.port), '--dir', folder],
        ...['--save', '', '--appendonly', 'no', '--daemonize', 'no'],
        ...options.args,
      ],
      env: process.env,
      cwd: undefined,
    });
  } catch (error) {
    await removeFolder();
    throw error;
  }
  server.exited.then(removeFolder).catch(() => {});
  try {
    await server.waitForLine(
      (line) => (line.includes(REDIS_READY_LINE) ? true : undefined),
      READY_DEADLINE_MS,
    );
  } catch (error) {
    await server.stop(0);
    throw error;
  }
  return server;
}
