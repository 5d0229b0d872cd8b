import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { TcpFaultProxy } from '../support/faults/tcp-fault-proxy.ts';
import { startRedis } from '../support/redis/redis.ts';
import { collectGarbage, evaluateIn } from '../support/services/inspector.ts';
import { type ServiceEnvironment, startEdge, untilLinked } from '../support/services/service.ts';
import { createRandom } from '../support/suite/random.ts';
import { eventually } from '../support/suite/wait.ts';
import { collectFatalLines, debugIndex } from '../support/tier.ts';
import { prepareChannels } from './channels.ts';
import {
  type TrafficAllowance,
  type TrafficSample,
  usedShare,
  type Window,
  worstWindow,
} from './cost-oracle.ts';
import { type Cost, forgetCosts, METERED, takeCosts } from './costs.ts';
import type { Crowd } from './crowd.ts';
import { WARM_UP_BYTES } from './edge-runs.ts';
import { FuzzClient } from './fuzz-client.ts';
import { InputGrammar } from './input-grammar.ts';

export interface EdgeFuzzOptions {
  readonly seed: number;
  /** Messages that the edge must read, from all clients together. */
  readonly messages: number;
  /** The clients that send them. */
  readonly crowd: Crowd;
  /** The delay of each reply of Redis, in ms. */
  readonly redisDelayMs: number;
  /** Settings of the edge. */
  readonly env?: ServiceEnvironment;
  /** A fault that is planted into the edge as JavaScript, for a control. */
  readonly sabotage?: string;
  /** How long the edge may take to release the memory of departed clients, in ms. */
  readonly leaveMs?: number;
  /** Bytes that the whole node may read from Redis. */
  readonly redis: TrafficAllowance;
  /** Bytes that one client may be sent. */
  readonly sent: TrafficAllowance;
}

/** The costs of the inputs. */
export interface EdgeFuzzReport {
  /** Messages that the edge read, without those sent to it while it closed a connection. */
  readonly messages: number;
  /** Clients at the same time. */
  readonly clients: number;
  readonly connections: number;
  readonly seconds: number;
  readonly inBytes: number;
  /** CPU time of the edge's thread in total, in ms. */
  readonly cpuMs: number;
  /** The worst first. */
  readonly callbacks: readonly Cost[];
  readonly handlings: readonly Cost[];
  /** Bytes read from Redis, in the window closest to its allowance. */
  readonly redis: Window;
  /** The same for bytes sent to one client. */
  readonly sent: Window;
  /** Growth of collected memory with all clients connected, in bytes. */
  readonly heldBytes: number;
  /** Growth after they had left. */
  readonly leftBytes: number;
  readonly fatalLines: readonly string[];
}

/** The interval between the turns of all clients, in ms. */
const TURN_MS = 20;

const SAMPLE_MS = 500;

/** How long the edge may take to forget departed clients and their channels, in ms. */
const LEAVE_MS = 30_000;

/** The number of most expensive costs that are reported. */
const REPORTED = 8;

/** One of the clients that send at the same time. If it is closed, another one takes its place. */
interface Place {
  readonly client: FuzzClient;
  /** Messages a second. */
  readonly pace: number;
  /** Messages that it may send now. */
  credit: number;
  /** Messages that it has sent. */
  messages: number;
  readonly samples: TrafficSample[];
}

/** Starts an edge, sends it inputs of a grammar, and reports their costs. Ends everything that it started. */
export async function fuzzEdge(options: EdgeFuzzOptions): Promise<EdgeFuzzReport> {
  const { seed, redisDelayMs, crowd, leaveMs = LEAVE_MS } = options;
  const random = createRandom(seed);
  const grammar = new InputGrammar(random, crowd.appetite);
  await using redis = await startRedis();
  await prepareChannels(redis.url);
  await using proxy = await TcpFaultProxy.start({
    ...{ host: redis.host, port: redis.port },
    speaks: 'bytes',
  });
  await using edge = await startEdge({
    ...METERED,
    REDIS_URL: proxy.url,
    EDGE_WORKERS: '1',
    ...options.env,
  });
  const fatalLines = collectFatalLines(edge);
  await untilLinked(edge);
  using meter = await RedisOutput.of(redis.url);
  const places: Place[] = [];
  using stack = new DisposableStack();
  stack.defer(() => {
    for (const { client } of places) client[Symbol.dispose]();
  });

  if (options.sabotage !== undefined) await evaluateIn(edge, `${options.sabotage}; 0`);
  const before = await collectGarbage(edge);
  await forgetCosts(edge);
  const costsBefore = await takeCosts(edge);
  using _weather = proxy.impose({ delayMs: redisDelayMs, direction: 'to-client' });

  let connections = 0;
  let closedInBytes = 0;
  const open = async (): Promise<Place> => {
    connections += 1;
    const isDeaf = crowd.deafEvery > 0 && random.below(crowd.deafEvery) === 0;
    const client = await FuzzClient.connect(edge.wsUrl, !isDeaf);
    const pace = crowd.paces[random.below(crowd.paces.length)]!;
    return { client, pace, credit: crowd.burst, messages: 0, samples: [sampleOf(client)] };
  };
  for (let i = 0; i < crowd.clients; i += 1) places.push(await open());

  const lagMs = 2 * redisDelayMs + SAMPLE_MS;
  const callbacks: Cost[] = [];
  const handlings: Cost[] = [];
  const nodeSamples: TrafficSample[] = [];
  const sentWindows: Window[] = [];
  const inBytes = (): number =>
    closedInBytes + places.reduce((sum, { client }) => sum + client.sentBytes, 0);
  const judge = ({ samples }: Place): void => {
    const window = worstWindow(samples, options.sent, lagMs);
    if (window !== undefined) sentWindows.push(window);
  };
  let messages = 0;
  const look = async (): Promise<void> => {
    for (const { client, samples } of places) samples.push(sampleOf(client));
    const outBytes = await meter.bytes();
    nodeSamples.push({ atMs: performance.now(), inBytes: inBytes(), outBytes });
    const costs = await takeCosts(edge);
    keepWorst(callbacks, costs.callbacks);
    keepWorst(handlings, costs.messages);
    messages = costs.messageCount - costsBefore.messageCount;
  };

  const startedAt = performance.now();
  let turnedAt = startedAt;
  let lookedAt = Number.NEGATIVE_INFINITY;
  while (messages < options.messages) {
    const now = performance.now();
    if (now - lookedAt >= SAMPLE_MS) {
      await look();
      lookedAt = now;
    }
    for (const [i, place] of places.entries()) {
      const { client, pace } = place;
      if (!client.isOpen || place.messages >= crowd.messagesEach) {
        place.samples.push(sampleOf(client));
        judge(place);
        closedInBytes += client.sentBytes;
        client[Symbol.dispose]();
        places[i] = await open();
        continue;
      }
      place.credit = Math.min(place.credit + (pace * (now - turnedAt)) / 1_000, crowd.burst);
      while (place.credit > 0 && !client.isFull) {
        const input = grammar.next();
        client.send(input.bytes);
        place.credit -= input.messages;
        place.messages += input.messages;
      }
    }
    turnedAt = now;
    await sleep(TURN_MS);
  }
  // Work in progress is charged, too.
  for (let ms = 0; ms < lagMs; ms += SAMPLE_MS) {
    await sleep(SAMPLE_MS);
    await look();
  }
  for (const place of places) judge(place);
  const seconds = (performance.now() - startedAt) / 1_000;
  const costsAfter = await takeCosts(edge);
  const held = await collectGarbage(edge);
  const totalInBytes = inBytes();

  for (const { client } of places) client[Symbol.dispose]();
  await eventually(async () => expectNobody(await debugIndex(edge)), { deadlineMs: LEAVE_MS });
  const memory = (one: typeof before): number => one.heapUsed + one.external;
  let leftBytes = Number.POSITIVE_INFINITY;
  // The memory of clients is released over some seconds.
  for (let ms = 0; ms < leaveMs && leftBytes > WARM_UP_BYTES; ms += SAMPLE_MS) {
    leftBytes = memory(await collectGarbage(edge)) - memory(before);
    if (leftBytes > WARM_UP_BYTES) await sleep(SAMPLE_MS);
  }
  return {
    messages,
    clients: crowd.clients,
    connections,
    seconds,
    inBytes: totalInBytes,
    cpuMs: costsAfter.threadCpuMs - costsBefore.threadCpuMs,
    callbacks,
    handlings,
    redis: worstWindow(nodeSamples, options.redis, lagMs)!,
    sent: sentWindows.reduce((one, other) => (usedShare(one) >= usedShare(other) ? one : other)),
    heldBytes: memory(held) - memory(before),
    leftBytes,
    fatalLines,
  };
}

/** Ensures that no client and none of their channels is left. */
function expectNobody(index: Awaited<ReturnType<typeof debugIndex>>): boolean {
  return index.connections === 0 && index.redisChannels === 0;
}

function sampleOf(client: FuzzClient): TrafficSample {
  return { atMs: performance.now(), inBytes: client.sentBytes, outBytes: client.receivedBytes };
}

function keepWorst(kept: Cost[], more: readonly Cost[]): void {
  kept.push(...more);
  kept.sort((one, other) => other.cpuMs - one.cpuMs);
  kept.length = Math.min(kept.length, REPORTED);
}

/** Bytes that a Redis has sent to all clients but this one. */
class RedisOutput implements Disposable {
  readonly #redis: Redis;
  #ours = 0;

  private constructor(redis: Redis) {
    this.#redis = redis;
  }

  static async of(url: string): Promise<RedisOutput> {
    const output = new RedisOutput(new Redis(url));
    await output.bytes();
    return output;
  }

  /** Since the server started. */
  async bytes(): Promise<number> {
    const info = await this.#redis.info('stats');
    const total = Number(/total_net_output_bytes:(\d+)/.exec(info)?.[1]);
    const bytes = total - this.#ours;
    this.#ours += Buffer.byteLength(info);
    return bytes;
  }

  [Symbol.dispose](): void {
    this.#redis.disconnect();
  }
}
