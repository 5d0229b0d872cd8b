/** What one package of the workspace may depend on. */
export type AllowedDependencies = readonly string[] | 'anything';

/**
 * The house's import directions: for each package, everything that it may name in `dependencies`.
 * A package that is not listed may not exist; a new one needs a decision record (docs/adr).
 */
export const ALLOWED_DEPENDENCIES: Readonly<Record<string, AllowedDependencies>> = {
  '@tradewind/protocol': [],
  '@tradewind/fanout': [],
  '@tradewind/runtime': ['pino', 'prom-client'],
  '@tradewind/bus': ['@tradewind/protocol', 'ioredis'],
  '@tradewind/client': ['@tradewind/protocol'],
  '@tradewind/ingest': ['@tradewind/bus', '@tradewind/protocol', '@tradewind/runtime'],
  '@tradewind/edge': [
    '@tradewind/bus',
    '@tradewind/fanout',
    '@tradewind/protocol',
    '@tradewind/runtime',
    'koffi',
    'ws',
  ],
  '@tradewind/dev': ['hdr-histogram-js', 'ioredis', 'ws'],
  '@tradewind/release': ['@tradewind/dev', 'rolldown', 'tar-stream'],
  '@tradewind/roll': [],
  '@tradewind/smoke': ['@tradewind/protocol', 'ws'],
  '@tradewind/test': 'anything',
};

/** Packages that must run in a browser or touch no I/O: outside their tests, no module of Node. */
export const WITHOUT_NODE: readonly string[] = ['@tradewind/protocol', '@tradewind/fanout'];

/** The root's development tools that tests may import without naming them again. */
export const TEST_TOOLS: readonly string[] = ['vitest', 'fast-check'];

/**
 * What stands here the tests of every package may import, by a path: what judges a part of the system by itself also
 * judges the whole.
 */
export const TEST_SUPPORT = 'test/support';

/** A service's `main.ts` has fewer lines than this: it reads config, starts and stops. */
export const MAIN_LINES_BELOW = 25;
