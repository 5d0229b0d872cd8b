import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  bringPrometheus,
  findMetricFaults,
  findRuleFaults,
  HOW_TO_INSTALL_PROMETHEUS,
  metricNamesIn,
  type PrometheusServer,
  ROWS,
  readDocumentedMetrics,
  type ServiceProcess,
  startPrometheus,
  startService,
  substituteVariables,
  WORKSPACE_ROOT,
  withoutThreshold,
} from '@tradewind/dev';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../support/clients/client.ts';
import { startEdge, startIngest, untilLinked } from '../support/services/service.ts';
import { eventually } from '../support/suite/wait.ts';
import { startTier, type Tier } from '../support/tier.ts';

/**
 * Part of the integration suite: real processes, a real Redis, one file at a time, and no fault or load that takes
 * minutes. Without the programs it is skipped, with a message.
 */
const programs = await bringPrometheus(console.log);
if (programs === undefined) console.log(`SKIPPED test/observability: ${HOW_TO_INSTALL_PROMETHEUS}`);

const PROMETHEUS_FOLDER = `${WORKSPACE_ROOT}infra/prometheus/`;
const CHANNELS = ['BTC.trade', 'ETH.trade'];

/** One edge with hub and fan-out in one thread, and one with workers: both export the same names. */
const WORKERS = ['1', '2'];

/** The pause between two publications, in ms: frequent enough for a rate, and little load. */
const PUBLISH_EVERY_MS = 20;

/** How soon the first values must exist, in ms: several scrapes and rule evaluations, each a second apart. */
const DATA_DEADLINE_MS = 30_000;

/** For rates on panels; scrapes are a second apart. */
const RATE_INTERVAL = '10s';

/** Metrics that have a series only during a fault. */
const ONLY_IN_A_FAULT: Readonly<Record<string, string>> = {
  tradewind_edge_requests_rejected_total: 'labelled by the code of an error that a client made',
  tradewind_ingest_rate_limited_total: 'labelled by a limit that was reached',
};

interface RecordingOrAlert {
  readonly name: string;
  readonly query: string;
  readonly type: 'recording' | 'alerting';
  readonly health: string;
  readonly lastError?: string;
}

describe.skipIf(programs === undefined)('a Prometheus that scrapes two edges under load', () => {
  const stack = new AsyncDisposableStack();
  let prometheus: PrometheusServer;
  let services: readonly ServiceProcess[];
  const load: PublishedLoad = { published: 0, failures: [] };

  beforeAll(async () => {
    const tier = stack.use(await startTier({ edges: 1, env: { EDGE_WORKERS: WORKERS[0]! } }));
    const second = stack.use(
      await startTierEdge(tier, { EDGE_NODE_ID: 'edge-2', EDGE_WORKERS: WORKERS[1]! }),
    );
    const ingest = stack.use(await startIngest({ REDIS_URL: tier.redis.url }));
    const console = stack.use(await startService('console', { REDIS_URL: tier.redis.url }));
    const edges = [tier.edges[0]!, second];
    services = [...edges, ingest, console];
    await Promise.all([...edges, ingest].map(untilLinked));
    for (const edge of edges) {
      for (let i = 0; i < 4; i += 1) {
        const wsUrl = `ws://127.0.0.1:${edge.port}/ws`;
        stack.use(await TestClient.connect(wsUrl, { channels: CHANNELS }));
      }
    }
    const ending = new AbortController();
    const publishing = publishUntil(ending.signal, ingest, load);
    stack.defer(async () => {
      ending.abort();
      await publishing;
    });
    const folder = await mkdtemp(join(tmpdir(), 'tradewind-scrape-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'prometheus.yml');
    await writeFile(file, await exampleFor(edges, ingest, console));
    prometheus = stack.use(await startPrometheus(programs!.prometheus, file));
  });

  afterAll(() => stack.disposeAsync());

  it('passes promtool: rules are well-formed, and each alert fires in its test', async () => {
    expect(await findRuleFaults(programs!.promtool)).toBe('');
  });

  it('passes promtool: every service names its metrics as Prometheus demands', async () => {
    for (const { adminUrl } of services) {
      const page = await (await fetch(`${adminUrl}/metrics`)).text();
      expect(await findMetricFaults(programs!.promtool, page)).toBe('');
    }
    const misnamed = '# HELP a_total x\n# TYPE a_total gauge\na_total 1\n';
    expect(await findMetricFaults(programs!.promtool, misnamed)).toContain('_total');
  });

  it('scrapes exactly what docs/metrics.md lists', async () => {
    const pages = await Promise.all(
      services.map(async ({ adminUrl }) => (await fetch(`${adminUrl}/metrics`)).text()),
    );
    const exported = pages.flatMap((page) =>
      [...page.matchAll(/^# TYPE (\w+) \w+$/gm)].map(([, name]) => name!),
    );
    const documented = await readDocumentedMetrics();
    expect([...new Set(exported)].toSorted()).toEqual([...documented.keys()].toSorted());
  });

  it('has data for every rule, and no alert fires', async () => {
    const rules = await rulesOf(prometheus);
    expect(rules.length).toBeGreaterThan(20);
    for (const { name, query, type } of rules) {
      await expectData(prometheus, name, type === 'alerting' ? withoutThreshold(query) : query);
    }
    const evaluated = await rulesOf(prometheus);
    expect(evaluated.filter(({ health }) => health !== 'ok')).toEqual([]);
    const firing = await query(prometheus, 'ALERTS');
    expect(firing.map(({ metric }) => metric.alertname)).toEqual([]);
  });

  it.each(ROWS.flatMap(({ panels }) => panels))('has data for the panel $title', async (panel) => {
    for (const { expr } of panel.queries) {
      await expectData(prometheus, panel.title, substituteVariables(expr, RATE_INTERVAL));
    }
  });

  it('sees both edges, each thread of both, and the rates by their known names', async () => {
    // At any moment a scrape or a rule evaluation may be missing.
    await eventually(
      async () => {
        const threads = await query(
          prometheus,
          'count by (instance) (tradewind_edge_thread_cpu_seconds_total)',
        );
        expect(threads.map(({ value }) => value[1]).toSorted()).toEqual(['1', '3']);
        for (const name of [
          'ws_broadcast_iterations_per_sec',
          'ws_subscription_index_lookups_per_sec',
        ]) {
          const rates = await query(prometheus, `${name} > 0`);
          expect(rates, `${name}, after ${describeLoad(load)}`).toHaveLength(2);
        }
      },
      { deadlineMs: DATA_DEADLINE_MS },
    );
  });
});

async function startTierEdge(tier: Tier, env: Record<string, string>): Promise<ServiceProcess> {
  return await startEdge({ REDIS_URL: tier.redis.url, ...env });
}

/** The outcome of the load so far. */
interface PublishedLoad {
  published: number;
  readonly failures: string[];
}

/** Records a publication that fails, and continues the load. */
async function publishUntil(
  ended: AbortSignal,
  ingest: ServiceProcess,
  load: PublishedLoad,
): Promise<void> {
  while (!ended.aborted) {
    for (const channel of CHANNELS) {
      const url = `${ingest.url}/v1/channels/${channel}`;
      try {
        const response = await fetch(url, { method: 'POST', body: '{"price":"1.10"}' });
        const answer = await response.text();
        if (response.ok) load.published += 1;
        else load.failures.push(`${response.status} ${answer}`);
      } catch (error) {
        load.failures.push(String((error as Error).cause ?? error));
      }
    }
    await sleep(PUBLISH_EVERY_MS);
  }
}

function describeLoad({ published, failures }: PublishedLoad): string {
  return `${published} publications and ${failures.length} failures, the last ${failures.at(-1)}`;
}

/** The example configuration with our targets, a scrape a second, and the paths of the rules. */
async function exampleFor(
  edges: readonly ServiceProcess[],
  ingest: ServiceProcess,
  console: ServiceProcess,
): Promise<string> {
  const example = await readFile(`${PROMETHEUS_FOLDER}prometheus.yml`, 'utf8');
  const targets = (ofJob: readonly ServiceProcess[]) =>
    `targets: [${ofJob.map(({ adminPort }) => `'127.0.0.1:${adminPort}'`).join(', ')}]`;
  const ours = example
    .replaceAll(/_interval: \d+s/g, '_interval: 1s')
    .replaceAll(/- (\S+\.yml)/g, `- ${PROMETHEUS_FOLDER}$1`)
    .replace(/targets: \[.*:9080.*\]/, targets(edges))
    .replace(/targets: \[.*:9081.*\]/, targets([ingest]))
    .replace(/targets: \[.*:9091.*\]/, targets([console]));
  expect(ours).not.toMatch(/^[^#]*:90\d\d/m);
  return ours;
}

/** Waits for values. If a query cannot have any yet, ensures that it has none. */
async function expectData(prometheus: PrometheusServer, name: string, expr: string): Promise<void> {
  const reads = metricNamesIn(expr);
  const recorded = await rulesOf(prometheus);
  const sources = reads.flatMap((metric) => {
    const rule = recorded.find(({ name: record }) => record === metric);
    return rule === undefined ? [metric] : metricNamesIn(rule.query);
  });
  if (sources.some((metric) => metric in ONLY_IN_A_FAULT)) {
    expect(await query(prometheus, expr), `${name}: ${expr}`).toEqual([]);
    return;
  }
  try {
    await eventually(
      async () => {
        const samples = await query(prometheus, expr);
        return samples.length > 0 && samples.every(({ value }) => value[1] !== 'NaN');
      },
      { deadlineMs: DATA_DEADLINE_MS },
    );
  } catch (error) {
    const targets = JSON.stringify(await targetsOf(prometheus));
    throw new Error(`${name} has no data: ${expr}; targets: ${targets}`, { cause: error });
  }
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [at: number, value: string];
}

async function query(prometheus: PrometheusServer, expr: string): Promise<readonly Sample[]> {
  const url = `${prometheus.url}/api/v1/query?query=${encodeURIComponent(expr)}`;
  const { status, data, error } = (await (await fetch(url)).json()) as {
    readonly status: string;
    readonly data?: { readonly result: readonly Sample[] };
    readonly error?: string;
  };
  if (status !== 'success' || data === undefined) throw new Error(`${expr}: ${error}`);
  return data.result;
}

/** The scraped targets and their states, for the message of a failure. */
async function targetsOf(prometheus: PrometheusServer): Promise<unknown> {
  const { data } = (await (await fetch(`${prometheus.url}/api/v1/targets`)).json()) as {
    readonly data: { readonly activeTargets: readonly Readonly<Record<string, unknown>>[] };
  };
  return data.activeTargets.map(({ scrapeUrl, health, lastError }) => ({
    scrapeUrl,
    health,
    lastError,
  }));
}

async function rulesOf(prometheus: PrometheusServer): Promise<readonly RecordingOrAlert[]> {
  const { data } = (await (await fetch(`${prometheus.url}/api/v1/rules`)).json()) as {
    readonly data: { readonly groups: readonly { readonly rules: readonly RecordingOrAlert[] }[] };
  };
  return data.groups.flatMap(({ rules }) => rules);
}
