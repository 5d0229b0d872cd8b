import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { PUBLISH_SCRIPT } from '@tradewind/bus';
import { findFreePort, findRedisServer, howToInstallRedis, startRedisServer } from '@tradewind/dev';
import { Redis } from 'ioredis';

/** Clock ticks of `/proc`, per second. */
const TICKS = 100;

const CHANNELS = 20;

const PAYLOAD = JSON.stringify({ price: '64123.5', size: '0.25', side: 'buy', id: 'x'.repeat(96) });

/** What is measured. */
export interface RedisLoad {
  readonly subscribers: number;
  readonly seconds: number;
  /** Publications in one pipeline. One: each wakes Redis, and each subscriber gets a write of its own. */
  readonly together: number;
}

/** What one Redis process used. */
export interface RedisCost {
  readonly subscribers: number;
  readonly publications: number;
  readonly cpuMicros: number;
}

/**
 * Publishes by the script, with a history of 1,000 and an idempotency key, to a Redis of its own, while each subscriber has all channels.
 * Subscribers are plain sockets in another process, which throw away what they read.
 */
export async function measureRedis({
  subscribers,
  seconds,
  together,
}: RedisLoad): Promise<RedisCost> {
  const program = await findRedisServer();
  if (program === undefined) throw new Error(howToInstallRedis());
  const port = await findFreePort();
  await using server = await startRedisServer({ program, port, args: [] });
  const reader = spawn(
    process.execPath,
    [fileURLToPath(import.meta.url), String(port), String(subscribers)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  await once(reader.stdout, 'data');
  const redis = new Redis(port, '127.0.0.1');
  try {
    let number = 0;
    const publish = async (until: number): Promise<number> => {
      const first = number;
      while (performance.now() < until) {
        const pipeline = redis.pipeline();
        for (let i = 0; i < together; i += 1) {
          const channel = `channel-${number % CHANNELS}`;
          const keys = [`{${channel}}:meta`, `{${channel}}:log`];
          const args = [channel, PAYLOAD, '1000', '3600000', `key-${number++}`, '60000', '0'];
          pipeline.evalsha(PUBLISH_SCRIPT.sha, 2, ...keys, ...args);
        }
        const replies = await pipeline.exec();
        for (const [error] of replies ?? []) if (error !== null) throw error;
      }
      return number - first;
    };
    await redis.script('LOAD', PUBLISH_SCRIPT.text);
    await publish(performance.now() + 1_000);
    const before = cpuMicrosOf(server.pid);
    const publications = await publish(performance.now() + seconds * 1_000);
    return { subscribers, publications, cpuMicros: cpuMicrosOf(server.pid) - before };
  } finally {
    redis.disconnect();
    reader.kill('SIGKILL');
  }
}

/** The cost of a publication, and of each subscriber more: the line through two measurements. */
export function costsOf(one: RedisCost, other: RedisCost): { publish: number; delivery: number } {
  const [a, b] = [one, other].map(({ cpuMicros, publications }) => cpuMicros / publications);
  const delivery = (b! - a!) / (other.subscribers - one.subscribers);
  return { publish: a! - one.subscribers * delivery, delivery };
}

function cpuMicrosOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS;
}

/** The other process: subscribers that read and forget. */
async function readAndForget(port: number, count: number): Promise<void> {
  const names = Array.from({ length: CHANNELS }, (_, i) => `channel-${i}`).join(' ');
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 1) {
    const socket = createConnection(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`SUBSCRIBE ${names}\r\n`);
    await once(socket, 'data');
    socket.on('data', () => {});
    sockets.push(socket);
  }
  process.stdout.write('ready\n');
}

if (import.meta.main) await readAndForget(Number(process.argv[2]), Number(process.argv[3]));
