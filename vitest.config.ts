import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests of the instruments that the chaos suite is made of: quick, and part of `npm test`. */
const CHAOS_INSTRUMENTS = [
  'test/chaos/subscribers/naive-subscriber.test.ts',
  'test/chaos/oracle/oracle.property.test.ts',
  'test/chaos/oracle/oracle.test.ts',
  'test/chaos/publishers/publisher.test.ts',
  'test/chaos/subscribers/resuming-client.test.ts',
];

/**
 * Integration tests that measure time or rates, or that load the machine themselves. They run after the others, two
 * files at a time: beside more they would measure each other. What measures the CPU time of one thread is not among them: it
 * measures the same beside others.
 */
const ALONE = [
  'test/integration/edge/address-fairness.test.ts',
  'test/integration/edge/drain.test.ts',
  'test/integration/edge/hostile-input.test.ts',
  'test/integration/edge/limits.test.ts',
  'test/integration/edge/node-limits.test.ts',
  'test/integration/edge/slow-clients.test.ts',
  'test/integration/edge/workers.test.ts',
  'test/integration/edge/workers-frozen.test.ts',
  'test/observability/dashboard-and-rules.test.ts',
];

/** The two files that take minutes of CPU time by themselves. They start before all others. */
const FIRST = [
  'test/terraform/plan-check.test.ts',
  'test/integration/console/console-page.test.ts',
];

/**
 * The files that take longest, longest first; most of them mostly wait. They start first: one that started last would keep
 * the others' cores idle at the end.
 */
const LONGEST = [
  'test/integration/sdk/sdk-scenarios.test.ts',
  'test/publishers/conformance.test.ts',
  'test/integration/console/console.test.ts',
  'test/integration/redis/bus-probe.test.ts',
  'test/integration/commands/public-start.test.ts',
  'test/integration/commands/capacity.test.ts',
  'test/integration/identity/identity.test.ts',
  'test/integration/ingest/ingest-sequenced.test.ts',
  'test/integration/identity/jwks.test.ts',
  'test/integration/redis/bus-sentinel.test.ts',
  'test/fuzz/edge-cost.test.ts',
  'test/integration/redis/migrate-clients.test.ts',
  'test/integration/redis/redis-cluster.test.ts',
  'test/integration/edge/binary-wire.test.ts',
  'infra/roll/src/main.test.ts',
  'test/integration/commands/cli.test.ts',
  'test/integration/ingest/ingest-replay.test.ts',
  'test/integration/edge/workers-behind.test.ts',
  'test/integration/redis/migrate.test.ts',
  'test/integration/ingest/ingest-http.test.ts',
  'test/integration/ingest/publish-script.test.ts',
  'test/integration/sdk/sdk-runtimes.test.ts',
  'test/integration/documents/readme-examples.test.ts',
  'test/integration/edge/recorded-trades.test.ts',
  'test/integration/console/demo-page.test.ts',
  'test/integration/edge/owner-limits.test.ts',
  'test/integration/ingest/publisher-cost.test.ts',
  'test/integration/redis/bus-commands.test.ts',
  'test/integration/edge/plain-sockets.test.ts',
  'test/integration/redis/bus-subscriber.test.ts',
  'test/publishers/cluster.test.ts',
  'packages/bus/src/subscribe/subscription-probe.test.ts',
  'infra/roll/src/watch.test.ts',
  'test/integration/identity/revocation.test.ts',
  'services/edge/src/clients/document-client.property.test.ts',
  'test/integration/redis/redis-states.test.ts',
  'packages/bus/src/link/redis-link.test.ts',
  'test/integration/documents/document-client.test.ts',
  'test/integration/commands/start-keys.test.ts',
  'test/integration/ingest/publish-memory.test.ts',
  'test/integration/edge/outage.test.ts',
  'test/integration/sdk/sdk-soak.test.ts',
  'test/integration/identity/token-clients.test.ts',
  'test/integration/commands/start.test.ts',
  'services/edge/src/clients/fan-out-slow.test.ts',
  'infra/roll/src/roll.test.ts',
  'services/edge/src/clients/authentication.test.ts',
];
/**
 * Tests about Redis that also run on a Redis Cluster of three masters and three replicas (`TEST_REDIS_MODE=cluster`): the first
 * ones in `npm test`, all of them in `npm run test:long`. `redis-cluster.test.ts`, `ingest-cluster.test.ts` and
 * `migrate.test.ts` have what only a cluster has.
 */
const ON_A_CLUSTER = [
  'test/integration/redis/bus-commands.test.ts',
  'test/integration/edge/interest.test.ts',
  'test/integration/edge/undeliverable-history.test.ts',
];
const ON_A_CLUSTER_LONG = [
  'test/integration/edge/believed-headers.test.ts',
  'test/integration/redis/bus-probe.test.ts',
  'test/integration/redis/bus-subscriber.test.ts',
  'test/integration/documents/document-client.test.ts',
  'test/integration/ingest/ingest-sequenced.test.ts',
  'test/integration/edge/latest.test.ts',
  'test/integration/edge/outage.test.ts',
  'test/integration/ingest/publish-memory.test.ts',
  'test/integration/ingest/publish-script.test.ts',
  'test/integration/redis/redis-mixups.test.ts',
  'test/integration/redis/redis-states.test.ts',
  'test/integration/redis/redis-users.test.ts',
  'test/integration/redis/redis-version.test.ts',
  'test/integration/identity/revocation.test.ts',
];
/**
 * Tests about Redis that do not run twice: `bus-sentinel` is about Sentinels, which watch no Cluster (a Cluster elects by itself),
 * and the others start their own Cluster.
 */
const ON_THEIR_OWN = [
  'test/integration/redis/bus-sentinel.test.ts',
  'test/integration/redis/redis-cluster.test.ts',
  'test/integration/redis/redis-tls.test.ts',
];
for (const name of readdirSync(new URL('test/integration/redis', import.meta.url))) {
  const file = `test/integration/redis/${name}`;
  const isListed = [ON_A_CLUSTER, ON_A_CLUSTER_LONG, ON_THEIR_OWN].some((all) =>
    all.includes(file),
  );
  if (/^(bus|redis)-.*\.test\.ts$/.test(name) && !isListed)
    throw new Error(`vitest.config.ts: say whether ${file} runs on a Cluster`);
}
// A file that moved would silently run beside others, or late.
for (const file of [
  ...[...CHAOS_INSTRUMENTS, ...ALONE, ...FIRST, ...LONGEST],
  ...[...ON_A_CLUSTER, ...ON_A_CLUSTER_LONG, ...ON_THEIR_OWN],
]) {
  if (!existsSync(new URL(file, import.meta.url))) throw new Error(`vitest.config.ts: no ${file}`);
}

const CORES = availableParallelism();

/**
 * Test files that run side by side. Most integration tests wait: for a link to be given up, a probe, a Redis. Each file has
 * its own Redis and ports.
 */
const FILES_AT_ONCE = Math.max(CORES + 1, Math.min(3 * CORES, 12));

/** Into how many parts the run is divided; each has its share of every project's files. */
const PARTS = 16;

/**
 * Starts the {@link FIRST} and then the {@link LONGEST} files, and mixes the others: unit tests compute while integration tests
 * wait, so each project gives its files at a pace at which all projects end together. Unit tests come in rows, because a
 * process of theirs goes on only when the next file is one of them.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.findIndex((file) => moduleId.endsWith(`/${file}`));
      return place < 0 ? LONGEST.length : place;
    };
    const isFirst = ({ moduleId }: TestSpecification): boolean =>
      FIRST.some((file) => moduleId.endsWith(`/${file}`));
    const byProject = Map.groupBy(
      sorted.filter((file) => !isFirst(file)).toSorted((a, b) => placeOf(a) - placeOf(b)),
      ({ project }) => project.name,
    );
    const mixed = Array.from({ length: PARTS }, (_, part) =>
      [...byProject.values()].flatMap((all) =>
        all.slice((part * all.length) / PARTS, ((part + 1) * all.length) / PARTS),
      ),
    ).flat();
    return [...sorted.filter(isFirst), ...mixed];
  }
}

/** `npm run test:long` takes its time: a property with ten times as many cases, say. */
const TIMES = process.env.TEST_LENGTH === 'long' ? 10 : 1;

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'packages/*/*.test.ts',
            'services/*/src/**/*.test.ts',
            'services/*/page/**/*.test.ts',
            'infra/**/*.test.ts',
            'test/terraform/**/*.test.ts',
          ],
          // A process and its modules for each of some 300 files, most of which take a few ms, would be most of their time.
          isolate: false,
          setupFiles: ['test/support/suite/leave-nothing.ts'],
          maxWorkers: FILES_AT_ONCE,
          sequence: { groupOrder: 1 },
          // Properties are work, and a machine may be busy with much else.
          testTimeout: TIMES * 180_000,
          expect: { poll: { timeout: 30_000 } },
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: [
            'test/!(chaos|terraform|release)/**/*.test.ts',
            'bench/**/*.test.ts',
            ...CHAOS_INSTRUMENTS,
          ],
          exclude: [...configDefaults.exclude, ...ALONE],
          globalSetup: ['test/support/global-setup.ts'],
          maxWorkers: FILES_AT_ONCE,
          sequence: { groupOrder: 1 },
          testTimeout: TIMES * 240_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'integration-cluster',
          include: [...ON_A_CLUSTER, ...(TIMES > 1 ? ON_A_CLUSTER_LONG : [])],
          globalSetup: ['test/support/global-setup.ts'],
          env: { TEST_REDIS_MODE: 'cluster' },
          maxWorkers: FILES_AT_ONCE,
          sequence: { groupOrder: 1 },
          testTimeout: TIMES * 240_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'integration-alone',
          include: ALONE,
          globalSetup: ['test/support/global-setup.ts'],
          maxWorkers: Math.min(CORES, 2),
          sequence: { groupOrder: 2 },
          testTimeout: TIMES * 240_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          exclude: CHAOS_INSTRUMENTS,
          globalSetup: ['test/chaos/global-setup.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'release',
          include: ['test/release/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
