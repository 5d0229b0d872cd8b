import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyHistogram, type Percentiles } from '@tradewind/dev';
import type { Load } from '../load/clients/load.ts';
import type { LoadSample } from '../load/clients/load-plan.ts';
import {
  CAN_READ_PROCESS_USAGE,
  readCpuTime,
  readMemory,
} from '../load/processes/process-usage.ts';
import type { Publisher } from '../load/publishing/publisher.ts';
import { type LatencyBucket, latencyBuckets } from './latency-buckets.ts';
import { coresBusy, readCoreTimes } from './machine.ts';
import type { Phase, TimelinePoint } from './timeline.ts';

const INTERVAL_MS = 1_000;

/** A shorter interval is merged into the next one, because its rates would be noise. */
const SHORTEST_INTERVAL_MS = 300;

/** Memory is read in one of this many intervals, because the kernel pauses a process while it adds up its memory. */
const MEMORY_EVERY = 5;

/** What a recorder watches. */
export interface Watched {
  readonly load: Load;
  readonly publisher: Publisher;
  /** Processes of the server on this machine. */
  readonly serverPids: readonly number[];
  readonly cores: number;
}

/** Records the state of a run once a second. */
export class Recorder {
  readonly timeline: TimelinePoint[] = [];
  readonly #watched: Watched;
  readonly #onPoint: (point: TimelinePoint) => void;
  readonly #startedAt = performance.now();
  /** Latencies during publishing and draining. */
  readonly #latency = new LatencyHistogram();
  #lastAt = performance.now();
  #last: LoadSample | undefined;
  #lastSent = 0;
  #lastServerCpu = 0;
  #lastCoreTimes = readCoreTimes();

  /** @param onPoint called with each new point of the timeline. */
  constructor(watched: Watched, onPoint: (point: TimelinePoint) => void) {
    this.#watched = watched;
    this.#onPoint = onPoint;
  }

  /** Percentiles of all latencies that were measured during publishing and draining. */
  get latency(): Percentiles | undefined {
    return this.#latency.percentiles();
  }

  /** How they are distributed. */
  get latencyBuckets(): readonly LatencyBucket[] {
    return latencyBuckets(this.#latency);
  }

  /** Records until `over` settles, and then the rest of the interval. Rejects if `over` rejects. */
  async during<T>(phase: Phase, over: Promise<T>): Promise<T> {
    let isOver = false;
    const settled = over.then(
      () => {
        isOver = true;
      },
      () => {
        isOver = true;
      },
    );
    while (!isOver) {
      const stop = new AbortController();
      const interval = sleep(INTERVAL_MS, undefined, { signal: stop.signal }).catch(() => {});
      await Promise.race([interval, settled]);
      stop.abort();
      if (performance.now() - this.#lastAt >= SHORTEST_INTERVAL_MS) await this.#record(phase);
    }
    return await over;
  }

  /** Memory of the server's processes in bytes; undefined if it cannot be read. */
  async serverMemory(): Promise<number | undefined> {
    const { serverPids } = this.#watched;
    if (!CAN_READ_PROCESS_USAGE || serverPids.length === 0) return undefined;
    const all = await whileAlive(serverPids, readMemory);
    return all.reduce((total, { pssBytes }) => total + pssBytes, 0);
  }

  /** CPU time of the server's processes since their start, in s; undefined if it cannot be read. */
  async serverCpuSeconds(): Promise<number | undefined> {
    const { serverPids } = this.#watched;
    if (!CAN_READ_PROCESS_USAGE || serverPids.length === 0) return undefined;
    const all = await whileAlive(serverPids, readCpuTime);
    return all.reduce((total, { user, system }) => total + user + system, 0);
  }

  async #record(phase: Phase): Promise<void> {
    const { load, publisher, cores } = this.#watched;
    // The last ones show what remains after publishing.
    const readsMemory = phase === 'draining' || this.timeline.length % MEMORY_EVERY === 0;
    const [sample, published, serverCpu, serverMemoryBytes] = await Promise.all([
      load.sample(),
      publisher.sample(),
      this.serverCpuSeconds(),
      readsMemory ? this.serverMemory() : undefined,
    ]);
    const now = performance.now();
    const seconds = Math.max(0.001, (now - this.#lastAt) / 1_000);
    const coreTimes = readCoreTimes();
    const latency = new LatencyHistogram();
    for (const counts of sample.latencies) latency.add(counts);
    if (phase === 'publishing' || phase === 'draining') this.#latency.add(latency.counts());
    const last = this.#last;
    // Each publisher counts from its own start.
    const sent = Math.max(0, published.sent - this.#lastSent);
    const point: TimelinePoint = {
      seconds: (now - this.#startedAt) / 1_000,
      phase,
      openConnections: sample.open,
      failedConnections: Object.values(sample.failed).reduce((total, count) => total + count, 0),
      publishedRate: sent / seconds,
      deliveredRate: (sample.publications - (last?.publications ?? 0)) / seconds,
      receivedBytesRate: (sample.bytes - (last?.bytes ?? 0)) / seconds,
      latency: latency.percentiles(),
      serverCores: serverCpu === undefined ? undefined : this.#serverCores(serverCpu, seconds),
      loadCores: sample.effort.reduce((total, { cpu }) => total + cpu, 0),
      machineCores: coresBusy(this.#lastCoreTimes, coreTimes, cores),
      serverMemoryBytes,
      loadUtilization: Math.max(...sample.effort.map(({ utilization }) => utilization)),
      loadDelayMs: Math.max(...sample.effort.map(({ maxDelayMs }) => maxDelayMs)),
      publisherBehindMs: phase === 'publishing' ? published.maxBehindMs : 0,
    };
    this.#lastAt = now;
    this.#last = sample;
    this.#lastSent = published.sent;
    this.#lastServerCpu = serverCpu ?? 0;
    this.#lastCoreTimes = coreTimes;
    this.timeline.push(point);
    this.#onPoint(point);
  }

  /** Leaves out the first interval, in which the server was still starting. */
  #serverCores(cpuSeconds: number, seconds: number): number | undefined {
    return this.#last === undefined ? undefined : (cpuSeconds - this.#lastServerCpu) / seconds;
  }
}

async function whileAlive<T>(
  pids: readonly number[],
  read: (pid: number) => Promise<T>,
): Promise<readonly T[]> {
  try {
    return await Promise.all(pids.map(read));
  } catch (cause) {
    throw new Error('an edge has ended during the run', { cause });
  }
}
