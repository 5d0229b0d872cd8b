import { randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import { type CalledChild, startCalledChild } from '../processes/child-calls.ts';
import type {
  Delivered,
  LoadCalls,
  LoadPlan,
  LoadSample,
  ProcessPlan,
  Reasons,
  Verdict,
} from './load-plan.ts';

const LOAD_PROCESS = new URL('./load-process.ts', import.meta.url);

/**
 * Source addresses of one process on loopback. Linux gives out 28,232 source ports an address by default; a process
 * with 19,000 connections stays well below that on each.
 */
const SOURCES_PER_PROCESS = 4;

/** Clients in processes that end with the disposal of the load. */
export interface Load extends AsyncDisposable {
  /** The load processes. */
  readonly pids: readonly number[];
  /** Opens all connections; resolves after each has subscribed or failed. Call it once. */
  connect(): Promise<void>;
  /** The state of all processes together. Latencies and effort are those since the call before. */
  sample(): Promise<LoadSample>;
  /** The CPU time, in ms, that all processes spent on polling in vain since the last call. */
  takeIdleMs(): Promise<number>;
  /** Counts deliveries, and measures latencies, from here. */
  mark(): Promise<void>;
  /**
   * Compares what each connection received since the mark with what was published on its channels since then. Each call
   * compares anew, so a caller can wait for what is still on its way.
   *
   * @param published publications by channel number.
   */
  verdict(published: readonly number[]): Promise<Verdict>;
  /** Lets slow and stalled connections read everything that is queued for them, from now on. */
  release(): Promise<void>;
  /** Drops slow and stalled connections without a close frame; resolves after they have ended. */
  dropWeak(): Promise<void>;
  /** Closes all connections and ends the processes. Can be called more than once. */
  stop(): Promise<void>;
}

/**
 * Starts the processes that a plan needs; they connect on `connect`. Each call rejects if one of them has ended, for
 * example because the machine ran out of memory. The caller ends the load.
 */
export async function startLoad(plan: LoadPlan): Promise<Load> {
  const step = Math.max(1, Math.ceil(plan.connections / plan.connectionsPerProcess));
  await using stack = new AsyncDisposableStack();
  const children: CalledChild<LoadCalls>[] = [];
  for (let i = 0; i < step; i += 1) {
    const core = plan.cores.length === 0 ? undefined : plan.cores[i % plan.cores.length];
    children.push(stack.use(await startCalledChild<LoadCalls>(LOAD_PROCESS, core)));
  }
  const sourcesOf = sourceAddresses(plan.urls);
  const owned = stack.move();
  const callAll = async (method: 'mark' | 'release' | 'dropWeak' | 'close'): Promise<void> => {
    await Promise.all(children.map((child) => child.call(method, undefined)));
  };

  let stopping: Promise<void> | undefined;
  async function stop(): Promise<void> {
    await callAll('close').catch(() => {});
    await owned.disposeAsync();
  }
  function stopOnce(): Promise<void> {
    stopping ??= stop();
    return stopping;
  }

  return {
    pids: children.map((child) => child.pid),
    async connect() {
      const connecting = children.map((child, first) => {
        const part: ProcessPlan = { ...plan, first, step, sources: sourcesOf(first) };
        return child.call('connect', part);
      });
      await Promise.all(connecting);
    },
    async sample() {
      return mergeSamples(
        await Promise.all(children.map((child) => child.call('sample', undefined))),
      );
    },
    async takeIdleMs() {
      const idle = await Promise.all(children.map((child) => child.call('idleMs', undefined)));
      return idle.reduce((sum, ms) => sum + ms, 0);
    },
    mark: () => callAll('mark'),
    async verdict(published) {
      const verdicts = await Promise.all(children.map((child) => child.call('verdict', published)));
      return {
        steady: mergeDelivered(verdicts.map(({ steady }) => steady)),
        slow: mergeDelivered(verdicts.map(({ slow }) => slow)),
        stalled: mergeDelivered(verdicts.map(({ stalled }) => stalled)),
      };
    },
    release: () => callAll('release'),
    dropWeak: () => callAll('dropWeak'),
    stop: stopOnce,
    [Symbol.asyncDispose]: stopOnce,
  };
}

/**
 * Chooses source addresses. On Linux all of 127.0.0.0/8 is local. Each process gets addresses of its own, and other
 * ones in each run, so ports of an earlier run that are not yet free are not in the way.
 */
function sourceAddresses(urls: readonly string[]): (process: number) => readonly string[] {
  const hosts = urls.map((url) => new URL(url).hostname);
  const local = hosts.every((host) => isIP(host) === 4 && host.startsWith('127.'));
  if (process.platform !== 'linux' || !local) return () => [];
  const third = randomInt(1, 255);
  return (first) =>
    Array.from({ length: SOURCES_PER_PROCESS }, (_, i) => {
      const fourth = 1 + ((first * SOURCES_PER_PROCESS + i) % 254);
      return `127.0.${third}.${fourth}`;
    });
}

/** Adds up the samples of processes, or of sections of a run. */
export function mergeSamples(samples: readonly LoadSample[]): LoadSample {
  const sum = (pick: (sample: LoadSample) => number): number =>
    samples.reduce((total, sample) => total + pick(sample), 0);
  return {
    at: Math.max(...samples.map(({ at }) => at)),
    attempted: sum(({ attempted }) => attempted),
    subscribed: sum(({ subscribed }) => subscribed),
    open: sum(({ open }) => open),
    failed: mergeReasons(samples.map(({ failed }) => failed)),
    disconnected: mergeReasons(samples.map(({ disconnected }) => disconnected)),
    weakDisconnected: mergeReasons(samples.map(({ weakDisconnected }) => weakDisconnected)),
    publications: sum(({ publications }) => publications),
    bytes: sum(({ bytes }) => bytes),
    missing: sum(({ missing }) => missing),
    disordered: sum(({ disordered }) => disordered),
    gaps: sum(({ gaps }) => gaps),
    gapLost: sum(({ gapLost }) => gapLost),
    reconnectNotices: sum(({ reconnectNotices }) => reconnectNotices),
    latencies: samples.flatMap(({ latencies }) => latencies),
    effort: samples.flatMap(({ effort }) => effort),
  };
}

function mergeReasons(all: readonly Reasons[]): Reasons {
  const merged: Reasons = {};
  for (const reasons of all) {
    for (const [reason, count] of Object.entries(reasons)) {
      merged[reason] = (merged[reason] ?? 0) + count;
    }
  }
  return merged;
}

function mergeDelivered(all: readonly Delivered[]): Delivered {
  const sum = (pick: (delivered: Delivered) => number): number =>
    all.reduce((total, delivered) => total + pick(delivered), 0);
  return {
    connections: sum(({ connections }) => connections),
    ended: sum(({ ended }) => ended),
    exact: sum(({ exact }) => exact),
    short: sum(({ short }) => short),
    over: sum(({ over }) => over),
    told: sum(({ told }) => told),
    untold: sum(({ untold }) => untold),
    undertold: sum(({ undertold }) => undertold),
    expected: sum(({ expected }) => expected),
    received: sum(({ received }) => received),
    missing: sum(({ missing }) => missing),
    disordered: sum(({ disordered }) => disordered),
  };
}
