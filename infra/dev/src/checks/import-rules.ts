/** The dependencies that one package of the workspace may have. */
export type AllowedDependencies = readonly string[] | 'anything';

/**
 * The import directions of the house: for each package, the dependencies that it may declare. A package that is not listed
 * must not exist; a new one needs a decision record (docs/adr).
 */
export const ALLOWED_DEPENDENCIES: Readonly<Record<string, AllowedDependencies>> = {
  '@tradewind/protocol': [],
  '@tradewind/fanout': [],
  '@tradewind/runtime': ['pino', 'prom-client'],
  '@tradewind/bus': ['@tradewind/protocol', 'ioredis'],
  // react is an optional peer of one entry.
  '@tradewind/client': ['@tradewind/protocol', 'react'],
  '@tradewind/publisher': [],
  '@tradewind/cli': ['@tradewind/client', '@tradewind/publisher', 'ioredis'],
  '@tradewind/ingest': ['@tradewind/bus', '@tradewind/protocol', '@tradewind/runtime'],
  '@tradewind/edge': [
    '@tradewind/bus',
    '@tradewind/fanout',
    '@tradewind/protocol',
    '@tradewind/runtime',
    'jose',
    'koffi',
    'ws',
  ],
  '@tradewind/console': [
    '@preact/signals',
    '@tradewind/bus',
    '@tradewind/client',
    '@tradewind/runtime',
    'esbuild',
    'preact',
    'marked',
    'uplot',
    'ws',
  ],
  // The demo: its page and its own clients are made with the SDK, and its port has the services' guards.
  '@tradewind/dev': [
    '@tradewind/client',
    '@tradewind/runtime',
    'esbuild',
    'ioredis',
    'preact',
    'ws',
  ],
  '@tradewind/release': ['@tradewind/dev', 'rolldown', 'tar-stream'],
  '@tradewind/roll': [],
  '@tradewind/smoke': ['@tradewind/protocol', 'ws'],
  '@tradewind/test': 'anything',
  '@tradewind/bench': 'anything',
};

/** Packages that must run in a browser or do no I/O: outside of tests they must not import a module of Node. */
export const WITHOUT_NODE: readonly string[] = [
  '@tradewind/protocol',
  '@tradewind/fanout',
  '@tradewind/client',
];

/** What packages offer beside their main entry. */
export const FURTHER_ENTRIES: readonly string[] = [
  '@tradewind/client/binary',
  '@tradewind/client/react',
  '@tradewind/client/store',
];

/** The root's development tools that tests may import without naming them again. */
export const TEST_TOOLS: readonly string[] = ['vitest', 'fast-check'];

/**
 * The folder that the tests of every package and the benchmarks may import by a path, because the same tools judge a part of
 * the system and the whole.
 */
export const TEST_SUPPORT = 'test/support';

/** The folder of the benchmarks that tests across processes may import by a path: it puts load on a tier. */
export const BENCH_LOAD = 'bench/load';

/** For each room (a folder, or a file beside the rooms without its ending), the rooms of its package that it may import. */
export type RoomRules = Readonly<Record<string, readonly string[] | 'anything'>>;

/**
 * The rooms inside the packages that have some, by the folder that holds them (docs/adr/0039-rooms-inside-packages.md). A large room
 * has rooms of its own, which are listed by its folder. A room that is not listed may not exist, and a room imports itself without being told so. Tests, and what stands in a room's
 * `testing`, may import every room.
 */
export const ROOMS: Readonly<Record<string, RoomRules>> = {
  'services/edge/src': {
    main: 'anything',
    'worker-main': 'anything',
    edge: 'anything',
    config: ['auth', 'outbound', 'owners'],
    feed: [],
    limits: [],
    auth: [],
    sequence: [],
    outbound: [],
    owners: ['limits'],
    hub: ['sequence', 'feed', 'limits'],
    clients: ['auth', 'outbound', 'owners', 'feed', 'limits'],
    telemetry: ['auth', 'hub', 'clients', 'outbound', 'owners', 'config', 'limits'],
    node: ['auth', 'telemetry', 'hub', 'clients', 'outbound', 'owners', 'config', 'feed', 'limits'],
    threads: ['auth', 'node', 'telemetry', 'hub', 'clients', 'config', 'feed', 'limits'],
  },
  'services/edge/src/clients': {
    'fan-out': 'anything',
    'fan-out-settings': ['session', 'subscriptions'],
    'fan-out-events': ['authentication', 'session', 'subscriptions'],
    deliveries: [
      ...['fan-out-settings', 'fan-out-events', 'publication-bodies', 'saved-by-channel'],
      ...['membership', 'connection'],
    ],
    'saved-by-channel': [],
    'publication-bodies': ['membership', 'connection'],
    requests: ['authentication', 'subscriptions', 'connection', 'session'],
    authentication: ['connection'],
    time: [],
    replay: [],
    session: ['time'],
    connection: ['session', 'time'],
    membership: ['connection'],
    subscriptions: ['membership', 'replay', 'connection', 'session', 'time'],
  },
  'packages/runtime/src': {
    index: 'anything',
    admin: ['http', 'log', 'metrics'],
    program: ['service', 'settings'],
    service: ['settings', 'log'],
    'service.fixture': ['service', 'settings', 'log'],
    metrics: ['settings'],
    'limit-table': [],
    'token-bucket': [],
    descriptors: [],
    log: ['token-bucket'],
    settings: ['log'],
    http: ['settings', 'log'],
  },
  'packages/bus/src': {
    index: 'anything',
    'tls-identity': [],
    'redis-limits': [],
    'redis-states': ['redis-limits'],
    'redis-errors': ['redis-states'],
    'redis-settings': ['redis-limits', 'tls-identity'],
    contract: [],
    link: ['redis-settings', 'redis-errors', 'redis-states', 'redis-limits'],
    commands: ['link', 'contract', 'redis-settings', 'redis-errors', 'redis-limits'],
    subscribe: [
      'commands',
      'link',
      'contract',
      'redis-settings',
      'redis-errors',
      'redis-states',
      'redis-limits',
    ],
    cluster: [
      ...['subscribe', 'commands', 'link', 'contract'],
      ...['redis-settings', 'redis-errors', 'redis-limits'],
    ],
  },
  'packages/client/src': {
    index: 'anything',
    connect: 'anything',
    client: 'anything',
    types: ['errors'],
    errors: [],
    deferred: [],
    surroundings: [],
    'exact-numbers': [],
    store: ['types'],
    react: ['store', 'types'],
    binary: ['index', 'types'],
    core: ['types', 'errors', 'surroundings'],
    timers: ['surroundings'],
    consumers: ['types', 'errors', 'deferred'],
    channels: ['consumers', 'core', 'types', 'errors', 'deferred', 'surroundings'],
    page: ['core', 'timers', 'types'],
    connection: [
      ...['channels', 'page', 'core', 'timers', 'types', 'errors', 'deferred', 'surroundings'],
    ],
    testing: 'anything',
  },
  'services/ingest/src': {
    main: 'anything',
    'replay-main': 'anything',
    ingest: 'anything',
    config: ['publishing', 'access'],
    limits: ['config', 'http'],
    events: ['limits', 'publishing', 'access'],
    gauges: ['publishing'],
    'node-state': [],
    access: [],
    publishing: [],
    http: ['publishing', 'access', 'events', 'config'],
    replay: ['http', 'publishing', 'config'],
  },
  'services/console/src': {
    main: 'anything',
    console: 'anything',
    config: [],
    events: [],
    fleet: [],
    tape: [],
    asked: ['tape'],
    http: ['fleet', 'config', 'events'],
  },
  'infra/dev/src': {
    index: 'anything',
    start: 'anything',
    'run-tests': 'anything',
    'run-checks': 'anything',
    processes: [],
    observability: ['processes'],
    checks: ['observability', 'processes'],
    demo: ['processes'],
    'demo-page': ['demo'],
    terminal: ['demo'],
  },
  'infra/dev/src/demo': {
    demo: 'anything',
    'demo-actions': ['nodes', 'trades', 'event-log'],
    'event-log': [],
    'rate-history': [],
    summary: ['clients'],
    ports: ['settings'],
    settings: [],
    trades: ['settings'],
    nodes: ['settings'],
    clients: ['trades'],
  },
  'bench/load': {
    processes: [],
    wire: [],
    publishing: ['processes'],
    clients: ['wire', 'processes'],
  },
  'test/support': {
    'global-setup': ['redis'],
    tier: ['services', 'redis'],
    suite: [],
    publications: [],
    identity: [],
    services: ['suite'],
    faults: ['suite'],
    clients: ['services', 'suite'],
    redis: ['services', 'clients', 'faults', 'suite'],
    documents: ['publications', 'services', 'clients', 'redis', 'suite'],
  },
  // Faults by what they break: they are tests, but for a cluster's scenario, and begin with the other rooms.
  'test/chaos': {
    main: [],
    'global-setup': [],
    oracle: [],
    publishers: ['oracle'],
    subscribers: ['oracle'],
    scenario: ['oracle', 'publishers', 'subscribers'],
    cluster: ['oracle', 'publishers', 'subscribers'],
  },
};

/** A service's `main.ts` must have fewer lines than this: it only reads config, starts and stops. */
export const MAIN_LINES_BELOW = 25;
