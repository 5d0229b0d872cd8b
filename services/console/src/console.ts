import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createCommands, type NodeState } from '@tradewind/bus';
import {
  createAdmin,
  createHttpServer,
  createLogger,
  createMetrics,
  DEFAULT_HTTP_LIMITS,
  endWithError,
  type HealthSource,
  healthRoutes,
  type Lifecycle,
  openRedisCredentials,
  RELEASE,
  type RunningService,
  redisAddress,
  rereadSecret,
} from '@tradewind/runtime';
import { PageQuestions } from './asked/page-questions.ts';
import type { ConsoleConfig } from './config.ts';
import { createEvents, registerGauges } from './events.ts';
import { toColumns } from './fleet/columns.ts';
import { Fleet } from './fleet/fleet.ts';
import { Guard } from './http/guard.ts';
import { loadPage } from './http/page-assets.ts';
import { createRoutes, viewerRefusal } from './http/routes.ts';
import { Viewers } from './http/viewers.ts';

/** Time between two readings of the nodes that are due, in ms. How soon a node that was killed is seen depends on it. */
const READ_MS = 100;

/** Time between two seconds of the history, and between two messages to pages, in ms. */
const TICK_MS = 1_000;

/** Time for answers in flight when the console stops, in ms. */
const CLOSE_MS = 1_000;

/**
 * Starts the console: it reads what all nodes say of themselves from Redis, remembers it, and shows it to operators. The
 * caller owns the result.
 *
 * @throws Error with a message that names the setting to change.
 */
export async function startConsole(
  config: ConsoleConfig,
  lifecycle: Lifecycle,
): Promise<RunningService> {
  const { service, token, hosts, edgeUrls, edgeTokenFile } = config;
  const logger = createLogger({ name: 'console', level: service.logLevel });
  const metrics = createMetrics();
  const events = createEvents(logger, metrics, redisAddress(service.redis));
  for (const variable of config.unknownVariables) events.unknownVariable(variable);
  const credentials = openRedisCredentials(service.redis, {
    tokenNotRenewed: events.redisTokenNotRenewed,
  });
  let blindSince: number | undefined = performance.now();
  const redis = createCommands(
    { ...credentials.settings, connectionName: 'tradewind-console' },
    {
      available: events.redisAvailable,
      unavailable: events.redisUnavailable,
      stillUnavailable: events.redisStillUnavailable,
    },
  );
  const fleet = new Fleet();
  const questions = new PageQuestions(redis, {
    urls: edgeUrls,
    token: edgeTokenFile === undefined ? undefined : () => rereadSecret(edgeTokenFile) ?? '',
  });
  const viewers = new Viewers({
    first: () => encode({ kind: 'history', history: fleet.history.columns() }),
    asked: (viewer, text) => questions.asked(viewer, text),
    left: (viewer) => questions.left(viewer),
    sessionEnded: events.sessionEnded,
  });
  registerGauges(metrics, {
    isBlind: () => blindSince !== undefined,
    nodes: () => fleet.counts,
    pages: () => viewers.count,
  });
  const guard = new Guard(token, hosts);
  const snapshot = () => fleet.snapshot(performance.now(), Date.now(), blindSince);
  const encode = (rest: object): string => {
    const { nodes, ...shown } = snapshot();
    return JSON.stringify({ ...rest, ...shown, nodes: toColumns(nodes) });
  };

  async function read(): Promise<void> {
    const states = await readStates();
    const now = performance.now();
    blindSince = states === undefined ? (blindSince ?? now) : undefined;
    const isNews = states !== undefined && fleet.read(states, now, Date.now());
    if (isNews && viewers.count > 0) viewers.send(encode({ kind: 'news' }));
  }

  /** Waits for nothing: a Redis that takes its time must not cost the history a second. */
  function tick(): void {
    const at = Date.now();
    fleet.tick(at);
    viewers.endSessions(at);
    if (viewers.count > 0) viewers.send(encode({ kind: 'tick' }));
    askNodes();
  }

  const askNodes = oneAtATime(async () => {
    // Redis that does not answer is the verdict already.
    await questions.tick(fleet.livingEdges).catch(() => undefined);
  });

  async function readStates(): Promise<readonly NodeState[] | undefined> {
    try {
      const states = await redis.readNodeStates((node) => fleet.isDue(node));
      const news = new Set(fleet.nodesWithNews(states));
      const changed = states.filter(({ node }) => news.has(node));
      const events = await redis.readNodeEvents(changed.map(({ node }) => node));
      changed.forEach((state, i) => {
        fleet.takeEvents(state, events[i] ?? []);
      });
      return states;
    } catch {
      return undefined;
    }
  }

  const reader = setInterval(oneAtATime(read), READ_MS);
  const ticker = setInterval(tick, TICK_MS);

  const health: HealthSource = {
    readiness: () => ({
      ready: true,
      degraded: blindSince !== undefined,
      reasons: blindSince === undefined ? [] : ['redis_unavailable'],
    }),
  };
  const server = createHttpServer({
    logger,
    limits: {
      ...DEFAULT_HTTP_LIMITS,
      keepAliveTimeoutMs: service.httpKeepAliveMs,
      maxPlainConnections: service.httpMaxConnections,
    },
    routes: [
      ...healthRoutes(health),
      ...createRoutes({
        ...{ events, guard, config, hasTape: questions.hasTape },
        assets: await loadPage(),
        node: (name) => snapshot().nodes.find(({ node }) => node === name),
      }),
    ],
  });
  server.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const refusal = viewerRefusal(guard, request, viewers.isFull);
    if (refusal !== undefined) return endWithError(socket, refusal);
    // A page stays open: among connections that wait it would be the first to be closed.
    server.upgraded(socket as Socket);
    viewers.accept(request, socket, head, guard.sessionEndsAt(request));
  });
  const admin = createAdmin({
    logger,
    metrics,
    health,
    token: service.adminToken,
    onDrain: () => lifecycle.requestDrain(),
  });

  async function stop(): Promise<void> {
    clearInterval(reader);
    clearInterval(ticker);
    viewers.stop();
    await Promise.all([questions.stop(), server.close(CLOSE_MS), redis.stop(), admin.close(0)]);
    credentials.stop();
  }

  try {
    redis.start();
    const port = await server.listen(service.host, service.port);
    const adminPort = await admin.listen(service.adminHost, service.adminPort);
    logger.info({ version: RELEASE, port, adminPort }, 'listening');
  } catch (error) {
    await stop();
    throw error;
  }
  return { drain: async () => undefined, stop };
}

/** Calls `act` unless it is under way. It must not reject. */
function oneAtATime(act: () => Promise<void>): () => void {
  let isActing = false;
  return () => {
    if (isActing) return;
    isActing = true;
    void act().finally(() => {
      isActing = false;
    });
  };
}
