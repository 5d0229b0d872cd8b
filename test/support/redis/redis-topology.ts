import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  findFreePort,
  findRedisServer,
  howToInstallRedis,
  type OwnedProcess,
  startProcess,
  startRedisServer,
} from '@tradewind/dev';
import { Redis } from 'ioredis';
import { TcpFaultProxy } from '../faults/tcp-fault-proxy.ts';
import { eventually } from '../suite/wait.ts';

/** How long a replica, a Sentinel or a reloaded Redis may take, in ms, also on slow machines. */
const SETTLE_DEADLINE_MS = 20_000;

/**
 * How long Sentinels may take over one failover, in ms. They wait twice as long after an election that none of them won,
 * which happens to three that find the master down at once.
 */
const FAILOVER_TIMEOUT_MS = 3_000;

/** Commands that a monitor keeps. A test that sees more fails with an error. */
const MAX_MONITORED = 1_000_000;

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisNodeOptions {
  /** Arguments for `redis-server`, after those that keep it small and on loopback. */
  readonly args?: readonly string[];
  /** Replicates this one from the start; the start resolves after it is in sync. */
  readonly replicaOf?: RedisAddress;
  /** The path of another server's program, such as Valkey's. */
  readonly program?: string;
}

/** A `redis-server` process of one test. Its address never changes. */
export interface RedisNode extends RedisAddress, AsyncDisposable {
  readonly url: string;
  /** A direct connection to it, for checks and faults. It reconnects; do not end it. */
  readonly control: Redis;
  /** SIGKILL: connections break, and unsaved data is lost. */
  kill(): Promise<void>;
  /** SIGSTOP: every connection stays open without answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Writes all data to disk, for a later {@link restart}. */
  save(): Promise<void>;
  /**
   * Kills it if it still runs, then starts it on the same port: empty, with the saved data, or with what `--appendonly` has
   * kept. A Redis that appends is never empty again.
   */
  restart(data: 'empty' | 'saved' | 'appended'): Promise<void>;
  /** Becomes a master. */
  promote(): Promise<void>;
  /** Becomes a replica of another one; does not wait until it is in sync. */
  follow(master: RedisAddress): Promise<void>;
  /** The number of calls of each command since the start or the last reset, by its lower-case name. */
  commandCalls(): Promise<ReadonlyMap<string, number>>;
  /** Everything it executes from now on. The caller ends it. */
  monitor(): Promise<RedisMonitor>;
}

export interface RedisMonitor extends Disposable {
  /** Commands in their order, each with its words. Live; do not modify it. */
  readonly commands: readonly (readonly string[])[];
}

/** Starts a Redis process and resolves after it answers. The caller ends it. */
export async function startRedisNode(options: RedisNodeOptions = {}): Promise<RedisNode> {
  const program = options.program ?? (await redisProgram());
  const port = await findFreePort();
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-chaos-redis-'));
  const snapshot = join(folder, 'dump.rdb');
  const saved = join(folder, 'saved.rdb');
  const { replicaOf } = options;
  const args = [
    ...['--dir', folder, '--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0'],
    ...['--repl-ping-replica-period', '1', '--enable-debug-command', 'local'],
    ...(replicaOf === undefined ? [] : ['--replicaof', replicaOf.host, String(replicaOf.port)]),
    ...(options.args ?? []),
  ];
  const start = (): Promise<OwnedProcess> => startRedisServer({ program, port, args });
  let server = await start();
  const control = new Redis({ host: '127.0.0.1', port, retryStrategy: () => 50 });
  control.on('error', () => {});

  async function kill(): Promise<void> {
    server.signal('SIGKILL');
    await server.exited;
  }

  const node: RedisNode = {
    host: '127.0.0.1',
    port,
    url: `redis://127.0.0.1:${port}`,
    control,
    kill,
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
    async save() {
      await control.save();
      await copyFile(snapshot, saved);
    },
    async restart(data) {
      await kill();
      await rm(snapshot, { force: true });
      if (data === 'saved') await copyFile(saved, snapshot);
      server = await start();
      await eventually(() => control.ping(), { deadlineMs: SETTLE_DEADLINE_MS });
    },
    async promote() {
      await control.replicaof('NO', 'ONE');
    },
    async follow(master) {
      await control.replicaof(master.host, master.port);
    },
    async commandCalls() {
      return parseCommandCalls(await control.info('commandstats'));
    },
    monitor: () => startMonitor(port),
    async [Symbol.asyncDispose]() {
      control.disconnect();
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await eventually(() => control.ping());
    if (replicaOf !== undefined) await untilInStep(node);
  } catch (error) {
    await node[Symbol.asyncDispose]();
    throw error;
  }
  return node;
}

/** A master and its replica, with a proxy between them. */
export interface ReplicatedPair extends AsyncDisposable {
  readonly master: RedisNode;
  readonly replica: RedisNode;
  readonly replication: TcpFaultProxy;
  /**
   * Disconnects the replica, lets `write` happen on the master, kills the master and promotes the replica. The writes
   * are lost although they were acknowledged.
   */
  loseWrites(write: () => Promise<void>): Promise<void>;
}

/** Starts a master and a replica that is in sync with it. The caller ends them. */
export async function startReplicatedPair(): Promise<ReplicatedPair> {
  await using stack = new AsyncDisposableStack();
  const master = stack.use(await startRedisNode());
  const replication = stack.use(
    await TcpFaultProxy.start({ host: master.host, port: master.port, speaks: 'bytes' }),
  );
  const replica = stack.use(await startRedisNode({ replicaOf: replication }));
  const owned = stack.move();
  return {
    master,
    replica,
    replication,
    async loseWrites(write) {
      await untilAcknowledged(master);
      replication.impose({ blackhole: true });
      await write();
      await master.kill();
      await replica.promote();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export interface SentinelOptions {
  readonly master: RedisAddress;
  readonly masterName: string;
  readonly count: number;
  /** How long the master must be silent before a Sentinel considers it down, in ms. */
  readonly downAfterMs: number;
}

/** Sentinels that watch one master. */
export interface Sentinels extends AsyncDisposable {
  readonly masterName: string;
  readonly addresses: readonly RedisAddress[];
  /** The master's address according to them. */
  master(): Promise<RedisAddress>;
}

/**
 * How long Sentinels may take to find each other and the replica, in ms. One that did not run for 2 s distrusts
 * everything that it sees for 30 s (TILT), and then requests replicas every 10 s.
 */
const SENTINELS_DEADLINE_MS = 60_000;

/** Starts Sentinels and resolves after they know each other and a replica. The caller ends them. */
export async function startSentinels(options: SentinelOptions): Promise<Sentinels> {
  await using stack = new AsyncDisposableStack();
  const program = await redisProgram();
  const quorum = Math.floor(options.count / 2) + 1;
  const controls: Redis[] = [];
  const addresses: RedisAddress[] = [];
  for (let i = 0; i < options.count; i += 1) {
    const port = await findFreePort();
    const folder = await mkdtemp(join(tmpdir(), 'tradewind-chaos-sentinel-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'sentinel.conf');
    const { master, masterName: name, downAfterMs } = options;
    const lines = [
      ...['bind 127.0.0.1', `port ${port}`, `dir ${folder}`, 'daemonize no'],
      `sentinel monitor ${name} ${master.host} ${master.port} ${quorum}`,
      `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
      `sentinel failover-timeout ${name} ${FAILOVER_TIMEOUT_MS}`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    stack.use(
      await startProcess({
        name: 'redis-sentinel',
        command: program,
        args: [file, '--sentinel'],
        env: process.env,
        cwd: undefined,
      }),
    );
    const control = new Redis({ host: '127.0.0.1', port, retryStrategy: () => 50 });
    control.on('error', () => {});
    stack.defer(() => control.disconnect());
    controls.push(control);
    addresses.push({ host: '127.0.0.1', port });
  }
  await eventually(
    async () => {
      for (const control of controls) {
        const seen = flatMap(await control.call('SENTINEL', 'MASTER', options.masterName));
        if (Number(seen.get('num-slaves')) < 1) return false;
        if (Number(seen.get('num-other-sentinels')) !== options.count - 1) return false;
      }
      return true;
    },
    { deadlineMs: SENTINELS_DEADLINE_MS },
  );
  const owned = stack.move();
  return {
    masterName: options.masterName,
    addresses,
    async master() {
      const question = ['GET-MASTER-ADDR-BY-NAME', options.masterName] as const;
      const [host, port] = (await controls[0]!.call('SENTINEL', ...question)) as [string, string];
      return { host, port: Number(port) };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The commands that a Redis executes during `ms`, by name; without INFO itself. */
export async function commandsWithin(
  node: RedisNode,
  ms: number,
): Promise<ReadonlyMap<string, number>> {
  const before = await node.commandCalls();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const calls = new Map<string, number>();
  for (const [name, count] of await node.commandCalls()) {
    const more = count - (before.get(name) ?? 0);
    if (more > 0 && name !== 'info') calls.set(name, more);
  }
  return calls;
}

async function redisProgram(): Promise<string> {
  const program = await findRedisServer();
  if (program === undefined) throw new Error(howToInstallRedis());
  return program;
}

async function untilInStep(replica: RedisNode): Promise<void> {
  await eventually(
    async () => (await replica.control.info('replication')).includes('master_link_status:up'),
    { deadlineMs: SETTLE_DEADLINE_MS },
  );
}

/** Resolves after the one replica has everything that was written so far. */
async function untilAcknowledged(master: RedisNode): Promise<void> {
  await master.control.set('tw:in-step', '1');
  const replicas = await master.control.wait(1, SETTLE_DEADLINE_MS);
  if (replicas < 1) throw new Error('the replica is not in step');
}

async function startMonitor(port: number): Promise<RedisMonitor> {
  const connection = new Redis({ host: '127.0.0.1', port, retryStrategy: null });
  connection.on('error', () => {});
  const monitor = await connection.monitor();
  const commands: (readonly string[])[] = [];
  monitor.on('monitor', (_time: string, words: string[]) => {
    if (commands.length >= MAX_MONITORED) throw new Error(`more than ${MAX_MONITORED} commands`);
    commands.push(words);
  });
  return {
    commands,
    [Symbol.dispose]() {
      monitor.disconnect();
      connection.disconnect();
    },
  };
}

function parseCommandCalls(info: string): Map<string, number> {
  const calls = new Map<string, number>();
  for (const [, name, count] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
    calls.set(name!.toLowerCase(), Number(count));
  }
  return calls;
}

/** Makes a map of a flat list of names and values, which is Sentinel's format. */
function flatMap(reply: unknown): Map<string, string> {
  const words = reply as readonly string[];
  const map = new Map<string, string>();
  for (let i = 0; i + 1 < words.length; i += 2) map.set(words[i]!, words[i + 1]!);
  return map;
}
