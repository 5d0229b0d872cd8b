// A child process that holds many clients. Started by startLoad, in load.ts.
import { isIP } from 'node:net';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { LatencyHistogram } from '@tradewind/dev';
import { serveCalls } from '../processes/child-calls.ts';
import { nowMicros } from '../processes/clock.ts';
import { createDialect } from '../wire/dialect.ts';
import { Handshake } from '../wire/handshake.ts';
import {
  type ConnectionSetup,
  LoadConnection,
  type Route,
  type SecureRoute,
} from './load-connection.ts';
import type {
  Delivered,
  LoadCalls,
  LoadEffort,
  LoadSample,
  ProcessPlan,
  Reasons,
  Verdict,
} from './load-plan.ts';
import { Poller } from './poller.ts';
import { type Telling, tellingOf } from './shortfall.ts';
import { channelsOf, type Reading, readingOf } from './subscription-plan.ts';

/** How often due connections are opened, in ms. */
const RAMP_TICK_MS = 10;

/** The bounds of waits before a connection is opened again, and the `Retry-After` of an edge, in ms. */
const FIRST_RETRY_MS = 1_000;
const LARGEST_RETRY_MS = 30_000;
const RETRY_AFTER_MS = 5_000;

/** Resolution of the event loop's delay, in ms. */
const DELAY_RESOLUTION_MS = 10;

const connections: LoadConnection[] = [];
const poller = new Poller();
const latency = new LatencyHistogram();
const failed: Reasons = {};
const disconnected: Reasons = {};
const weakDisconnected: Reasons = {};
const loopDelay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
let settled = 0;

async function connectAll(plan: ProcessPlan): Promise<undefined> {
  const count = Math.ceil(Math.max(0, plan.connections - plan.first) / plan.step);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  if (count === 0) resolve(undefined);
  const setup: ConnectionSetup = {
    dialect: createDialect(plan.dialect),
    sampleEvery: plan.sampleEvery,
    latency,
    slowBytesPerSecond: plan.slowBytesPerSecond,
    stallAfterMs: plan.stallAfterMs,
    dataCame: plan.polls ? () => poller.came() : () => {},
    settled(failure) {
      if (failure !== undefined) add(failed, failure);
      settled += 1;
      if (settled === count) resolve(undefined);
    },
    disconnected(reading, reason) {
      add(reading === 'steady' ? disconnected : weakDisconnected, reason);
    },
  };
  const attempts = new Uint8Array(count);
  /** Opens the connection of this index among those of the process, again after each failure where that is asked for. */
  const open = (at: number): void => {
    const index = plan.first + at * plan.step;
    const numbers = chooseChannels(index);
    const names = numbers.map((number) => plan.channels[number]!);
    const reading = readingOf(plan.reading, index);
    const again = (failure: string): void => {
      add(failed, failure);
      setTimeout(open, retryWaitMs(failure, (attempts[at] as number)++), at);
    };
    const settledOnce = (failure: string | undefined): void => {
      if (failure === undefined) setup.settled(failure);
      else again(failure);
    };
    const own = plan.retries === true ? { ...setup, settled: settledOnce } : setup;
    connections[at] = new LoadConnection(own, routeOf(index, at), names, numbers, reading);
  };
  const routeOf = routes(plan);
  const chooseChannels = channelChooser(plan);
  const rampPerSecond = plan.rampPerSecond / plan.step;
  const startedAt = performance.now();
  while (connections.length < count) {
    const seconds = (performance.now() - startedAt) / 1_000;
    const due = Math.min(count, Math.ceil(seconds * rampPerSecond));
    while (connections.length < due) open(connections.length);
    await sleep(RAMP_TICK_MS);
  }
  return await promise;
}

/** Rules 35 and 37 of docs/protocol.md: a random part of a bound that doubles, and no less than an edge's `Retry-After`. */
function retryWaitMs(failure: string, attempt: number): number {
  const boundMs = Math.min(LARGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
  const isRefused = failure === 'http 429' || failure === 'http 503';
  return Math.max(isRefused ? RETRY_AFTER_MS : 0, Math.random() * boundMs);
}

function routes(plan: ProcessPlan): (index: number, ownIndex: number) => Route {
  const { subprotocol } = createDialect(plan.dialect);
  const targets = plan.urls.map((text) => {
    const url = new URL(text);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const secure = url.protocol === 'wss:' ? secureRoute(host) : undefined;
    const port = Number(url.port || (secure === undefined ? 80 : 443));
    return { host, port, secure, handshake: new Handshake(url, subprotocol) };
  });
  return (index, ownIndex) => ({
    ...targets[index % targets.length]!,
    localAddress: plan.sources[ownIndex % Math.max(1, plan.sources.length)],
  });
}

function secureRoute(host: string): SecureRoute {
  return { context: createSecureContext(), serverName: isIP(host) === 0 ? host : undefined };
}

/** Returns a function that gives connections with the same channels one shared list. */
function channelChooser(plan: ProcessPlan): (index: number) => readonly number[] {
  const { mode, channelsPerClient, seed } = plan;
  const subscriptions = { mode, channels: plan.channels.length, channelsPerClient, seed };
  if (mode === 'random') return (index) => channelsOf(subscriptions, index);
  const same = channelsOf(subscriptions, 0);
  return () => same;
}

let lastCpu = process.cpuUsage();
let lastLoop = performance.eventLoopUtilization();
let lastEffortAt = performance.now();

function effort(): LoadEffort {
  const now = performance.now();
  const { user, system } = process.cpuUsage(lastCpu);
  const { utilization } = performance.eventLoopUtilization(lastLoop);
  const micros = Math.max(1, now - lastEffortAt) * 1_000;
  const maxDelayMs = Math.max(0, loopDelay.max / 1e6 - DELAY_RESOLUTION_MS);
  lastCpu = process.cpuUsage();
  lastLoop = performance.eventLoopUtilization();
  lastEffortAt = now;
  loopDelay.reset();
  const cpu = (user + system) / micros;
  return { pid: process.pid, cpu, utilization, maxDelayMs };
}

function sample(): LoadSample {
  const sums = { subscribed: 0, open: 0, publications: 0, bytes: 0, missing: 0, disordered: 0 };
  const told = { gaps: 0, gapLost: 0, reconnectNotices: 0 };
  for (const connection of connections) {
    const { counts } = connection;
    if (connection.wasSubscribed) sums.subscribed += 1;
    if (connection.isOpen) sums.open += 1;
    sums.publications += counts.publications;
    sums.bytes += counts.bytes;
    sums.missing += counts.missing;
    sums.disordered += counts.disordered;
    told.gaps += connection.gaps;
    told.gapLost += connection.gapLost;
    told.reconnectNotices += connection.reconnectNotices;
  }
  const counts = latency.counts();
  latency.reset();
  return {
    at: nowMicros(),
    attempted: connections.length,
    ...sums,
    ...told,
    failed,
    disconnected,
    weakDisconnected,
    latencies: [counts],
    effort: [effort()],
  };
}

function verdict(published: readonly number[]): Verdict {
  const of = (reading: Reading): Delivered => {
    const counts = { connections: 0, ended: 0, exact: 0, short: 0, over: 0 };
    const tellings: Record<Telling, number> = { exact: 0, loose: 0, under: 0, untold: 0 };
    const sums = { expected: 0, received: 0, missing: 0, disordered: 0 };
    for (const connection of connections) {
      if (connection.reading !== reading || !connection.wasSubscribed) continue;
      if (!connection.isOpen) {
        counts.ended += 1;
        continue;
      }
      const received = connection.receivedSinceMark;
      let expected = 0;
      for (const number of connection.channelNumbers) expected += published[number] ?? 0;
      counts.connections += 1;
      sums.expected += expected;
      sums.received += received;
      sums.missing += connection.counts.missing;
      sums.disordered += connection.counts.disordered;
      if (received === expected) counts.exact += 1;
      else if (received > expected) counts.over += 1;
      else {
        counts.short += 1;
        tellings[tellingOf(expected - received, connection.toldSinceMark)] += 1;
      }
    }
    const { exact: told, under: undertold, untold } = tellings;
    return { ...counts, told, untold, undertold, ...sums };
  };
  return { steady: of('steady'), slow: of('slow'), stalled: of('stalled') };
}

function add(reasons: Reasons, reason: string): void {
  reasons[reason] = (reasons[reason] ?? 0) + 1;
}

loopDelay.enable();
serveCalls<LoadCalls>({
  connect: connectAll,
  sample,
  idleMs: () => poller.takeIdleMs(),
  mark() {
    for (const connection of connections) connection.mark();
    latency.reset();
    return undefined;
  },
  verdict,
  release() {
    for (const connection of connections) connection.release();
    return undefined;
  },
  async dropWeak() {
    const weak = connections.filter(({ reading }) => reading !== 'steady');
    await Promise.all(weak.map((connection) => connection.drop()));
    return undefined;
  },
  async close() {
    await Promise.all(connections.map((connection) => connection.close()));
    return undefined;
  },
});
