import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createClient } from '@redis/client';
import { bringPythonWith, findProgram, REDIS_PY } from '@tradewind/dev';
import { Cluster, Redis } from 'ioredis';
import {
  type DriverOptions,
  type DriverResult,
  drivePackage,
  type PublisherDriver,
  type PublisherLibrary,
} from './publisher-driver.ts';
import { VECTORS } from './vectors.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DOCS = fileURLToPath(new URL('../../docs/publish/', import.meta.url));

/** How long a build may take, in ms: it may load the Redis client and compile it. */
const BUILD_DEADLINE_MS = 240_000;

/** Where builds stand, by language; made once in a test process. */
const builds = new Map<string, Promise<readonly string[] | string>>();

const folders: string[] = [];

/** Removes what was built. */
export async function removeBuilds(): Promise<void> {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  builds.clear();
}

const SINGLE: readonly PublisherLibrary[] = [
  {
    ...{ name: 'TypeScript on ioredis', encodesObjects: true, isCluster: false },
    async start(url, useFunction = false) {
      const redis = new Redis(url, { retryStrategy: () => 50 });
      redis.on('error', () => {});
      return drivePackage(redis, useFunction, () => redis.disconnect());
    },
  },
  {
    ...{ name: 'TypeScript on node-redis', encodesObjects: true, isCluster: false },
    async start(url, useFunction = false) {
      const redis = createClient({ url, socket: { reconnectStrategy: () => 50 } });
      redis.on('error', () => {});
      await redis.connect();
      return drivePackage(redis, useFunction, () => redis.destroy());
    },
  },
  ...builtLibraries(false),
];

/** The same on clients of a Cluster. */
export const CLUSTER_LIBRARIES: readonly PublisherLibrary[] = [
  {
    ...{ name: 'TypeScript on a Cluster of ioredis', encodesObjects: true, isCluster: true },
    async start(url, useFunction = false) {
      const redis = connectCluster(url);
      return drivePackage(redis, useFunction, () => redis.disconnect());
    },
  },
  ...builtLibraries(true),
];

export const LIBRARIES: readonly PublisherLibrary[] = [...SINGLE, ...CLUSTER_LIBRARIES];

/** A `Cluster` of ioredis that finds the others by one node. The caller ends it. */
export function connectCluster(url: string): Cluster {
  const { hostname, port, username, password } = new URL(url);
  const redis = new Cluster([{ host: hostname, port: Number(port) }], {
    clusterRetryStrategy: () => 50,
    redisOptions: { username: username || undefined, password: password || undefined },
  });
  redis.on('error', () => {});
  return redis;
}

const BUILDERS = { python: buildPython, go: buildGo, java: buildJava };

function builtLibraries(isCluster: boolean): PublisherLibrary[] {
  const where = isCluster ? ' on a Cluster' : '';
  const start = (language: keyof typeof BUILDERS) => startBuilt(language, isCluster);
  return [
    {
      ...{ name: `Python${where}`, encodesObjects: true, isCluster, start: start('python') },
      // redis-py 4 asks a node whether it is one of a Cluster.
      rights: isCluster ? ['+info'] : [],
    },
    { name: `Go${where}`, encodesObjects: true, isCluster, start: start('go') },
    { name: `Java${where}`, encodesObjects: false, isCluster, start: start('java') },
  ];
}

function startBuilt(
  language: keyof typeof BUILDERS,
  isCluster: boolean,
): PublisherLibrary['start'] {
  return async (url, useFunction = false) => {
    if (!builds.has(language)) builds.set(language, BUILDERS[language]());
    const command = await builds.get(language)!;
    return typeof command === 'string'
      ? command
      : driveProcess(command, url, useFunction, isCluster);
  };
}

async function buildPython(): Promise<readonly string[] | string> {
  const python = await bringPythonWith(REDIS_PY, console.log);
  if (python === undefined) return 'there is no python3 with redis-py here (python3-redis)';
  return [python, join(HERE, 'python', 'driver.py')];
}

async function buildGo(): Promise<readonly string[] | string> {
  const go = await findProgram(['go']);
  if (go === undefined) return 'there is no go here';
  const folder = await buildFolder('go');
  await mkdir(join(folder, 'publish'));
  for (const name of ['publish.go', 'tradewind_publish_1.lua'])
    await cp(join(DOCS, name), join(folder, 'publish', name));
  const failure = await run(go, ['build', '-o', 'driver', '.'], folder);
  return failure === undefined ? [join(folder, 'driver')] : missing('go-redis', failure);
}

async function buildJava(): Promise<readonly string[] | string> {
  const javac = await findProgram(['javac']);
  const maven = await findProgram(['mvn']);
  if (javac === undefined || maven === undefined) return 'there is no javac or no mvn here';
  const folder = await buildFolder('java');
  const list = join(folder, 'classpath');
  const goal = ['-q', '-B', 'dependency:build-classpath', `-Dmdep.outputFile=${list}`];
  const failure = await run(maven, goal, folder);
  if (failure !== undefined) return missing('jedis', failure);
  const classPath = `${folder}:${await readFile(list, 'utf8')}`;
  const sources = [join(DOCS, 'Publisher.java'), join(folder, 'Driver.java')];
  const broken = await run(javac, ['-cp', classPath, '-d', folder, ...sources], folder);
  if (broken !== undefined) throw new Error(broken);
  const script = join(DOCS, 'tradewind_publish_1.lua');
  return ['java', '-XX:TieredStopAtLevel=1', '-cp', classPath, 'Driver', script];
}

async function buildFolder(language: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `tradewind-publisher-${language}-`));
  folders.push(folder);
  await cp(join(HERE, language), folder, { recursive: true });
  return folder;
}

/** Returns what the command wrote if it failed. */
async function run(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<string | undefined> {
  try {
    await promisify(execFile)(command, args, { cwd, timeout: BUILD_DEADLINE_MS });
    return undefined;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & Record<string, string>;
    return `${message}\n${stdout}${stderr}`;
  }
}

/** A registry that cannot be reached, or a Go that is too old, is no fault of ours; an error of the compiler is. */
function missing(what: string, failure: string): string {
  const isUnreachable =
    /dial tcp|no such host|i\/o timeout|proxyconnect|Could not transfer|Could not resolve|Unknown host|timed out|ETIMEDOUT|toolchain|requires go/;
  if (!isUnreachable.test(failure)) throw new Error(failure);
  return `${what} cannot be loaded here`;
}

/** Talks to a driver program: a line of JSON for each call, and one for each answer. */
function driveProcess(
  command: readonly string[],
  url: string,
  useFunction: boolean,
  isCluster: boolean,
): PublisherDriver {
  const [program, ...args] = command;
  const child = spawn(program!, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...process.env,
      REDIS_URL: url,
      ...(isCluster ? { REDIS_CLUSTER: 'true' } : {}),
      OPTIONS: JSON.stringify({ ...VECTORS.options, useFunction }),
    },
  });
  const waiting: PromiseWithResolvers<DriverResult[]>[] = [];
  const noise: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    waiting.shift()?.resolve(JSON.parse(line) as DriverResult[]);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    noise.push(line);
    if (noise.length > 100) noise.shift();
  });
  const ended = once(child, 'close').catch((error: Error) => noise.push(error.message));
  ended.then(() => {
    for (const each of waiting.splice(0)) each.reject(new Error(`ended: ${noise.join('\n')}`));
  });
  child.stdin.on('error', () => {});
  return {
    async publish(items, options: DriverOptions = {}) {
      const answer = Promise.withResolvers<DriverResult[]>();
      waiting.push(answer);
      const deadlineMs = options.deadlineMs ?? VECTORS.options.deadlineMs;
      child.stdin.write(`${JSON.stringify({ items, many: options.many ?? false, deadlineMs })}\n`);
      return await answer.promise;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
