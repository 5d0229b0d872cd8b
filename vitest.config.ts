import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

/** Tests of the instruments that the chaos suite is made of: quick, and part of `npm test`. */
const CHAOS_INSTRUMENTS = [
  'test/chaos/naive-subscriber.test.ts',
  'test/chaos/oracle.property.test.ts',
  'test/chaos/oracle.test.ts',
  'test/chaos/publisher.test.ts',
  'test/chaos/resuming-client.test.ts',
];

/**
 * Integration tests that measure time, memory or CPU, or that load the machine themselves. They run one file at a
 * time after the others: beside each other they would measure each other.
 */
const ALONE = [
  'bench/compare/hot-path.test.ts',
  'test/fuzz/edge-cost.test.ts',
  'test/fuzz/ingest-cost.test.ts',
  'test/fuzz/meter.test.ts',
  'test/integration/address-fairness.test.ts',
  'test/integration/drain.test.ts',
  'test/integration/hostile-input.test.ts',
  'test/integration/jwks.test.ts',
  'test/integration/limits.test.ts',
  'test/integration/node-limits.test.ts',
  'test/integration/publisher-cost.test.ts',
  'test/integration/revocation.test.ts',
  'test/integration/slow-clients.test.ts',
  'test/integration/workers.test.ts',
  'test/integration/workers-frozen.test.ts',
  'bench/load/load.test.ts',
  'bench/load/poller.test.ts',
  'bench/load/publisher.test.ts',
  'test/observability/dashboard-and-rules.test.ts',
];
// A file that moved would silently run beside others.
for (const file of [...CHAOS_INSTRUMENTS, ...ALONE]) {
  if (!existsSync(new URL(file, import.meta.url))) throw new Error(`vitest.config.ts: no ${file}`);
}

const CORES = availableParallelism();

/** Integration tests mostly wait: for a link to be given up, a probe, a Redis. Each file has its own Redis and ports. */
const WAITING_FILES = Math.min(2 * CORES, 8);

/** `npm run test:long` takes its time: a property with ten times as many cases, say. */
const TIMES = process.env.TEST_LENGTH === 'long' ? 10 : 1;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'packages/*/*.test.ts',
            'services/*/src/**/*.test.ts',
            'infra/**/*.test.ts',
            'test/terraform/**/*.test.ts',
          ],
          // One more than cores: some of them wait as well.
          maxWorkers: CORES + 1,
          sequence: { groupOrder: 1 },
          // Properties are work, and a machine may be busy with much else.
          testTimeout: TIMES * 180_000,
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
          maxWorkers: WAITING_FILES,
          sequence: { groupOrder: 2 },
          testTimeout: TIMES * 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'integration-alone',
          include: ALONE,
          globalSetup: ['test/support/global-setup.ts'],
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
          testTimeout: TIMES * 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/*.test.ts'],
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
