import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  listenOn,
  type MetricObjects,
  type Readiness,
  sumMetrics,
  type TlsCredentials,
} from '@tradewind/runtime';
import type { IdentityUpdate } from '../auth/identity-update.ts';
import type { EdgeConfig } from '../config/edge-config.ts';
import type { Hub } from '../hub/hub.ts';
import { ConnectionCount, createConnectionMemory } from '../node/connection-count.ts';
import type { IdentitySources } from '../node/identity-sources.ts';
import type { FanOutPool } from '../node/local-pool.ts';
import { divideShed } from '../node/shed.ts';
import { addReadings, type ClientReading, totalsOfReading } from '../telemetry/client-reading.ts';
import type { NodeEvents } from '../telemetry/node-events.ts';
import type { ClientEnquiry } from '../telemetry/watched-clients.ts';
import { WorkerThread } from './worker-thread.ts';

/** The time until a lost worker is replaced, in ms. It doubles each time that the replacement ends soon ({@link STABLE_AFTER_MS}). */
const REPLACE_AFTER_MS = 100;
const REPLACE_AFTER_MAX_MS = 5_000;

/** A worker that ran for longer than this, in ms, did not end soon. */
const STABLE_AFTER_MS = 10_000;

/** Time between two checks for signs of life, in ms. */
const WATCH_INTERVAL_MS = 1_000;

/**
 * Fan-out workers in threads of their own, which accept on one port. A worker that ends unasked is replaced: its
 * clients lose their connections and reconnect, and the clients of other workers notice nothing.
 */
export class WorkerPool implements FanOutPool {
  readonly #entry: URL;
  readonly #config: EdgeConfig;
  readonly #hub: Hub;
  readonly #events: NodeEvents;
  readonly #identity: Pick<IdentitySources, 'current' | 'requestKeys'>;
  readonly #connectionMemory: SharedArrayBuffer;
  readonly #connectionCount: ConnectionCount;
  readonly #workers: WorkerThread[] = [];
  /** Counters of workers that have ended, so that the totals of the node never go back. */
  #endedTotals: MetricObjects = [];
  #endedReading = addReadings([]);
  /** Aborts when the node begins to stop or drain. From then on no worker is replaced. */
  readonly #ending = new AbortController();
  readonly #watch: NodeJS.Timeout;
  #port = 0;
  #readiness: Readiness | undefined;
  #tls: TlsCredentials | undefined;

  /**
   * @param entry the program that each thread runs: `worker-main`.
   * @param tls the certificate of the port. Undefined for a port without TLS.
   */
  constructor(
    entry: URL,
    config: EdgeConfig,
    hub: Hub,
    events: NodeEvents,
    identity: Pick<IdentitySources, 'current' | 'requestKeys'>,
    tls?: TlsCredentials | undefined,
  ) {
    this.#identity = identity;
    this.#entry = entry;
    this.#config = config;
    this.#hub = hub;
    this.#events = events;
    this.#tls = tls;
    this.#connectionMemory = createConnectionMemory(config.workers);
    this.#connectionCount = new ConnectionCount(this.#connectionMemory, 0);
    this.#watch = setInterval(() => {
      const now = performance.now();
      for (const worker of this.#workers) worker.endIfSilent(now);
    }, WATCH_INTERVAL_MS);
  }

  get connections(): number {
    return this.#connectionCount.total;
  }

  async listen(): Promise<number> {
    this.#port = await probePort(this.#config);
    const slots = Array.from({ length: this.#config.workers }, (_, slot) => slot);
    await Promise.all(slots.map((slot) => this.#start(slot).listening));
    for (const slot of slots) void this.#supervise(slot);
    return this.#port;
  }

  setReadiness(readiness: Readiness): void {
    this.#readiness = readiness;
    for (const worker of this.#workers) worker.setReadiness(readiness);
  }

  updateIdentity(update: IdentityUpdate): void {
    for (const worker of this.#workers) worker.updateIdentity(update);
  }

  setTls(credentials: TlsCredentials): void {
    this.#tls = credentials;
    for (const worker of this.#workers) worker.setTls(credentials);
  }

  async drain(windowMs: number, hurry: AbortSignal): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#workers.map((worker) => worker.drain(windowMs, hurry)));
  }

  shed(count: number, windowMs: number): void {
    const shares = divideShed(count, this.#connectionCount.bySlot);
    this.#workers.forEach((worker, slot) => {
      worker.shed(shares[slot] as number, windowMs);
    });
  }

  async metrics(): Promise<readonly MetricObjects[]> {
    const living = await Promise.all(this.#workers.map((worker) => worker.metrics()));
    return [this.#endedTotals, ...living];
  }

  async describe() {
    const answers = await Promise.all(this.#workers.map((worker) => worker.describe()));
    return answers.filter((answer) => answer !== undefined);
  }

  async sessionsOf(subject: string) {
    const lists = await Promise.all(this.#workers.map((worker) => worker.sessionsOf(subject)));
    return lists.filter((list) => list !== undefined);
  }

  async askClients(enquiry: ClientEnquiry) {
    const answers = await Promise.all(this.#workers.map((worker) => worker.askClients(enquiry)));
    return answers.filter((answer) => answer !== undefined);
  }

  read(): ClientReading {
    const living = this.#workers.map(({ lastReading }) => lastReading);
    return addReadings([this.#endedReading, ...living.filter((each) => each !== undefined)]);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    clearInterval(this.#watch);
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  #start(slot: number): WorkerThread {
    const worker = new WorkerThread(
      this.#entry,
      {
        ...{ config: this.#config, tls: this.#tls, port: this.#port, slot },
        connectionMemory: this.#connectionMemory,
        identity: this.#identity.current(),
      },
      this.#hub,
      () => this.#identity.requestKeys(),
    );
    this.#workers[slot] = worker;
    if (this.#readiness !== undefined) worker.setReadiness(this.#readiness);
    return worker;
  }

  /** Replaces the worker of a slot whenever it ends unasked. */
  async #supervise(slot: number): Promise<void> {
    let waitMs = REPLACE_AFTER_MS;
    for (;;) {
      const startedAt = performance.now();
      const worker = this.#workers[slot] as WorkerThread;
      const cause = await worker.ended;
      this.#connectionCount.reset(slot);
      if (cause === undefined) return;
      this.#events.workerLost(slot, cause);
      const last = worker.takeReading();
      if (last !== undefined) {
        this.#endedReading = addReadings([this.#endedReading, totalsOfReading(last)]);
      }
      this.#endedTotals = await sumMetrics([this.#endedTotals, totalsOf(worker.lastMetrics)]);
      const wasStable = performance.now() - startedAt > STABLE_AFTER_MS;
      waitMs = wasStable ? REPLACE_AFTER_MS : Math.min(waitMs * 2, REPLACE_AFTER_MAX_MS);
      await sleep(waitMs, undefined, { signal: this.#ending.signal }).catch(() => undefined);
      if (this.#ending.signal.aborted) return;
      this.#start(slot);
    }
  }
}

/** The metrics of a worker that outlive it: counters and histograms, but no gauges. */
function totalsOf(metrics: MetricObjects): MetricObjects {
  return metrics.filter(({ type }) => String(type) !== 'gauge');
}

/**
 * Binds the port once without sharing it, to find out whether it is in use: a server that shares a port would bind silently beside
 * another one. Returns the port, which differs from the configured one if that is 0.
 */
async function probePort({ host, port }: EdgeConfig): Promise<number> {
  const probe = createServer();
  const bound = await listenOn(probe, { host, port, reusePort: false, portSetting: 'PORT' });
  await new Promise((resolve) => probe.close(resolve));
  return bound;
}
