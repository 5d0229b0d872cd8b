import { defineConfig } from 'vitest/config';

/** Tests of the instruments that the chaos suite is made of: quick, and part of `npm test`. */
const CHAOS_INSTRUMENTS = [
  'test/chaos/naive-subscriber.test.ts',
  'test/chaos/oracle.property.test.ts',
  'test/chaos/oracle.test.ts',
  'test/chaos/publisher.test.ts',
  'test/chaos/resuming-client.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'services/*/src/**/*.test.ts',
            'infra/**/*.test.ts',
            'test/terraform/**/*.test.ts',
          ],
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
          globalSetup: ['test/support/global-setup.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
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
