import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FUNCTION_LIBRARY } from '@tradewind/bus';
import { bringValkeyServer, findFreePort, findRedisServer, startRedisServer } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { onEach, startRedisCluster } from './redis-cluster.ts';
import { connectBackend, IS_CLUSTER } from './redis-mode.ts';
import type { RedisPlace } from './test-redis.ts';

const FOLDER = new URL('../../../infra/redis/', import.meta.url);

/** Longer than a node of a Cluster is silent on a busy machine, in ms: no replica may take over. */
const NODE_TIMEOUT_MS = 30_000;

/** The password of every user. */
export const PASSWORD = 'a-password';

/** The users of `infra/redis/users.acl`, but for `default`, who is off. */
const ROLES = ['admin', 'edge', 'ingest', 'console', 'publisher'] as const;

export type Role = (typeof ROLES)[number];

/** What a user of `infra/redis/users.acl` may do, as arguments of `ACL SETUSER`; without a password. */
export function rulesOf(role: Role): readonly string[] {
  const users = readFileSync(new URL('users.acl', FOLDER), 'utf8');
  const line = users.split('\n').find((each) => each.startsWith(`user ${role} `)) ?? '';
  // Text in parentheses is one argument.
  return (line.match(/\([^)]*\)|\S+/g) ?? []).slice(2);
}

/** The servers that the users and functions are tried on. */
export type ServerKind = 'redis' | 'valkey';

/** A server with the settings, the users and the functions that we deploy; in cluster mode, a Cluster of such nodes. */
export interface RedisWithUsers extends RedisPlace, AsyncDisposable {
  readonly admin: Redis;
  /** All servers: one, or the masters and replicas of a Cluster. */
  readonly servers: readonly { readonly port: number; readonly admin: Redis }[];
  /** The port of the server that has a channel. */
  portOf(channel: string): Promise<number>;
  urlOf(role: Role): string;
}

/** How a user logs in, as it stands in a URL. */
export function loginOf(role: Role): string {
  return `${role}:${PASSWORD}@`;
}

/** What the ACL logs of all servers have. */
export async function aclLogs({ servers }: RedisWithUsers): Promise<readonly unknown[]> {
  const logs = await Promise.all(servers.map(({ admin }) => admin.call('ACL', 'LOG')));
  return logs.flat();
}

/** The path of the server's program; undefined, and a word on the console, if this machine cannot have it. */
export async function bringServer(kind: ServerKind): Promise<string | undefined> {
  return kind === 'redis' ? await findRedisServer() : await bringValkeyServer(console.log);
}

/** Starts `program` with what stands in `infra/redis`. The caller ends it. */
export async function startRedisWithUsers(
  program: string,
  { withFunctions = true }: { readonly withFunctions?: boolean } = {},
): Promise<RedisWithUsers> {
  const redis = IS_CLUSTER ? await startCluster(program) : await startServer(program);
  if (withFunctions) await redis.admin.function('LOAD', FUNCTION_LIBRARY);
  return redis;
}

/** Each node is given the users, as `docs/migration.md` says. Its `default` stays on: the nodes and tests log in by it. */
async function startCluster(program: string): Promise<RedisWithUsers> {
  const cluster = await startRedisCluster({
    ...{ program, args: settings(), nodeTimeoutMs: NODE_TIMEOUT_MS },
  });
  await onEach(cluster.nodes, async ({ control }) => {
    for (const role of ROLES)
      await control.call('ACL', 'SETUSER', role, `>${PASSWORD}`, ...rulesOf(role));
  });
  const { url } = cluster;
  const admin = connectBackend({ url, cluster });
  return {
    ...{ url, cluster, admin },
    servers: cluster.nodes.map(({ port, control }) => ({ port, admin: control })),
    portOf: async (channel) => (await cluster.masterOf(channel)).port,
    urlOf: (role) => url.replace('redis://', `redis://${loginOf(role)}`),
    async [Symbol.asyncDispose]() {
      admin.disconnect();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

async function startServer(program: string): Promise<RedisWithUsers> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-users-'));
  const users = readFileSync(new URL('users.acl', FOLDER), 'utf8');
  await writeFile(join(folder, 'users.acl'), users.replace(/ on /g, ` on >${PASSWORD} `));
  const port = await findFreePort();
  const args = [...settings(), '--aclfile', join(folder, 'users.acl')];
  const server = await startRedisServer({ program, port, args });
  const urlOf = (role: Role) => `redis://${loginOf(role)}127.0.0.1:${port}`;
  const admin = new Redis(urlOf('admin'));
  admin.on('error', () => undefined);
  return {
    ...{ url: `redis://127.0.0.1:${port}`, admin, servers: [{ port, admin }], urlOf },
    portOf: async () => port,
    async [Symbol.asyncDispose]() {
      admin.disconnect();
      await server.stop(0);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The lines of `redis.conf` as arguments. */
function settings(): readonly string[] {
  const lines = readFileSync(new URL('redis.conf', FOLDER), 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => {
      const [name = '', ...values] = line.split(' ');
      return [`--${name}`, values.join(' ').replace(/^""$/, '')];
    });
}

/** A connection that sends whatever it is told, and shows the first line of each answer. */
export interface RawConnection extends AsyncDisposable {
  ask(words: readonly string[]): Promise<string>;
}

/** Connects as a user, past any client library that would refuse a command by itself. */
export async function connectRaw(port: number, role: Role): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  let unread = '';
  let wake: (() => void) | undefined;
  let failure: Error | undefined;
  socket.on('data', (chunk) => {
    unread += chunk.toString('latin1');
    wake?.();
  });
  socket.on('error', (error) => {
    failure = error;
    wake?.();
  });
  socket.on('close', () => {
    failure ??= new Error('the server closed the connection');
    wake?.();
  });
  async function ask(words: readonly string[]): Promise<string> {
    unread = '';
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${parts.join('')}`);
    while (!unread.includes('\r\n')) {
      if (failure !== undefined) throw failure;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return unread.slice(0, unread.indexOf('\r\n'));
  }
  const greeting = await ask(['AUTH', role, PASSWORD]);
  if (greeting !== '+OK') throw new Error(greeting);
  return {
    ask,
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}
