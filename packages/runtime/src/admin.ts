import { createBearerCheck } from './http/bearer-token.ts';
import { HttpError, SERVER_ERRORS, sendJson, sendText } from './http/http-error.ts';
import { createHttpServer, DEFAULT_HTTP_LIMITS, type HttpServer } from './http/http-server.ts';
import { pageFault } from './http/page-guard.ts';
import type { Handler, Route } from './http/router.ts';
import type { Logger } from './log/logger.ts';
import { createSecurityLog } from './log/security-log.ts';
import type { MetricsText } from './metrics.ts';

/** The most connections to the admin port: a scraper, a health checker and a few people. */
export const MAX_ADMIN_CONNECTIONS = 64;

/** Whether a balancer should send work here. */
export interface Readiness {
  readonly ready: boolean;
  /**
   * It works, but is cut off from something that all nodes need. An alert must follow, but the balancer must keep the
   * node.
   */
  readonly degraded: boolean;
  /** The reasons why it is not ready, or degraded, as stable words. */
  readonly reasons: readonly string[];
}

/** Knows the state of a service. Every health check calls it, so it must be cheap and must not throw. */
export interface HealthSource {
  readiness(): Readiness;
}

/**
 * `/healthz` (200 as long as the event loop turns) and `/readyz` (200 or 503, with a
 * {@link Readiness} as its body), for a public port as well as for the admin port.
 */
export function healthRoutes(health: HealthSource): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/healthz',
      handler: (_request, response) => sendJson(response, 200, { status: 'ok' }),
    },
    {
      method: 'GET',
      path: '/readyz',
      handler(_request, response) {
        const { ready, degraded, reasons } = health.readiness();
        sendJson(response, ready ? 200 : 503, { ready, degraded, reasons });
      },
    },
  ];
}

/**
 * The server for operators: health, `/metrics`, `/debug/index`, `POST /drain` and the service's own `routes`. It does
 * not listen yet.
 *
 * @param options.token a bearer token that everything but the health routes needs. Undefined for none: then the port answers to
 *   loopback names only, and to no page of another origin (see {@link pageFault}).
 * @param options.onDrain begins the drain and returns at once. It may be called more than once.
 * @param options.debugIndex returns what `/debug/index` shows, or a promise of it. Without it the path does not
 *   exist.
 * @param options.maxConnections {@link MAX_ADMIN_CONNECTIONS} by default.
 * @param options.connectionClosed see {@link createHttpServer}.
 */
export function createAdmin(options: {
  readonly logger: Logger;
  readonly metrics: MetricsText;
  readonly token: string | undefined;
  readonly health: HealthSource;
  readonly onDrain: () => void;
  readonly debugIndex?: () => unknown;
  readonly routes?: readonly Route[];
  readonly maxConnections?: number;
  readonly connectionClosed?: () => void;
}): HttpServer {
  const { metrics, onDrain, debugIndex } = options;
  const guarded: Route[] = [
    {
      method: 'GET',
      path: '/metrics',
      async handler(_request, response) {
        const text = await metrics.text();
        sendText(response, 200, text, { 'content-type': metrics.contentType });
      },
    },
    {
      method: 'POST',
      path: '/drain',
      handler(_request, response) {
        sendJson(response, 202, { status: 'draining' });
        onDrain();
      },
    },
    ...(options.routes ?? []),
  ];
  if (debugIndex !== undefined) {
    guarded.push({
      method: 'GET',
      path: '/debug/index',
      async handler(_request, response) {
        sendJson(response, 200, await debugIndex());
      },
    });
  }
  return createHttpServer({
    logger: options.logger,
    limits: {
      ...DEFAULT_HTTP_LIMITS,
      maxPlainConnections: options.maxConnections ?? MAX_ADMIN_CONNECTIONS,
    },
    portSetting: 'ADMIN_PORT',
    refusal: options.token === undefined ? pageFault : undefined,
    routes: [...healthRoutes(options.health), ...guard(guarded, options.token, options.logger)],
  });
}

function guard(
  routes: readonly Route[],
  token: string | undefined,
  logger: Logger,
): readonly Route[] {
  if (token === undefined) return routes;
  const isAuthorized = createBearerCheck([token]);
  const securityLog = createSecurityLog(logger);
  return routes.map((route) => {
    const handler: Handler = (request, response, match) => {
      if (!isAuthorized(request)) {
        const { remoteAddress: address } = request.socket;
        securityLog.info('admin_refused', { address, route: route.path });
        throw new HttpError(SERVER_ERRORS.unauthorized, { 'www-authenticate': 'Bearer' });
      }
      return route.handler(request, response, match);
    };
    return { ...route, handler };
  });
}
