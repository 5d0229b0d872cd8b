import type { Delivered, LoadSample } from '../load/clients/load-plan.ts';
import type { Outcome } from './outcome.ts';
import { readCapacitySettings } from './settings.ts';
import type { TimelinePoint } from './timeline.ts';

const NOBODY: Delivered = {
  connections: 0,
  ended: 0,
  exact: 0,
  short: 0,
  over: 0,
  told: 0,
  untold: 0,
  undertold: 0,
  expected: 0,
  received: 0,
  missing: 0,
  disordered: 0,
};

/** The verdict of clients that all received everything. */
export function wholeDelivery(connections: number): Delivered {
  const received = connections * 10;
  return { ...NOBODY, connections, exact: connections, expected: received, received };
}

export function timelinePoint(changes: Partial<TimelinePoint> = {}): TimelinePoint {
  return {
    seconds: 1,
    phase: 'publishing',
    openConnections: 100,
    failedConnections: 0,
    publishedRate: 1,
    deliveredRate: 100,
    receivedBytesRate: 1_000,
    latency: { p50: 1, p90: 2, p99: 3, p999: 4, max: 5, samples: 100 },
    serverCores: 0.5,
    loadCores: 0.25,
    machineCores: 1,
    serverMemoryBytes: 2 ** 27,
    loadUtilization: 0.5,
    loadDelayMs: 10,
    publisherBehindMs: 1,
    ...changes,
  };
}

export function loadSample(changes: Partial<LoadSample> = {}): LoadSample {
  return {
    at: 0,
    attempted: 100,
    subscribed: 100,
    open: 100,
    failed: {},
    disconnected: {},
    weakDisconnected: {},
    publications: 1_000,
    bytes: 10_000,
    missing: 0,
    disordered: 0,
    gaps: 0,
    gapLost: 0,
    reconnectNotices: 0,
    latencies: [[1, 2]],
    effort: [],
    ...changes,
  };
}

/** A run of 100 clients without any failure. */
export function goodOutcome(changes: Partial<Outcome> = {}): Outcome {
  const environment = {
    TARGET_CONNECTIONS: '100',
    TARGET_URLS: 'ws://edge.example:8080/ws',
    REDIS_URL: 'redis://user:hunter2@redis.example:6379',
  };
  return {
    settings: readCapacitySettings([], environment, undefined, '/tmp'),
    machine: { cpu: 'A <fast> one', cores: 2, memoryBytes: 2 ** 33, system: 'Linux', node: 'v24' },
    release: '0.1.0, commit 0123456789ab',
    target: 'edges at ws://edge.example:8080, Redis at redis.example:6379',
    startedAt: '2026-11-23T10:00:00.000Z',
    connectSeconds: 2,
    published: {
      published: [10],
      total: 10,
      refused: 0,
      refusal: undefined,
      seconds: 10,
      maxBehindMs: 1,
    },
    totals: loadSample(),
    deliveries: 1_000,
    verdict: { steady: wholeDelivery(100), slow: NOBODY, stalled: NOBODY },
    released: undefined,
    latency: { p50: 1, p90: 2, p99: 3, p999: 4, max: 5, samples: 100 },
    latencyBuckets: [
      { upToMs: 1, count: 50 },
      { upToMs: 2, count: 40 },
      { upToMs: 5, count: 10 },
    ],
    server: {
      startMemoryBytes: 50 * 2 ** 20,
      idleMemoryBytes: 51 * 2 ** 20,
      endMemoryBytes: 52 * 2 ** 20,
      cpuSeconds: 0.02,
    },
    timeline: [
      timelinePoint({ seconds: 1, phase: 'connecting', latency: undefined }),
      timelinePoint({ seconds: 2 }),
      timelinePoint({ seconds: 3 }),
    ],
    bottlenecks: [],
    ...changes,
  };
}
