import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { endWithError, HttpError, SERVER_ERRORS, sendError } from './http-error.ts';
import { listenOn } from './listen.ts';
import { LogLimiter } from './log-limiter.ts';
import type { Logger } from './logger.ts';

/** What a route's path matched. */
export interface RouteMatch {
  /** The path without the query, still percent-encoded. */
  readonly path: string;
  /** What stands in the place of a trailing `*`, still percent-encoded; empty without one. */
  readonly rest: string;
  readonly query: URLSearchParams;
}

/** Answers a request. Throwing {@link HttpError} answers with it, throwing anything else with 500. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  match: RouteMatch,
) => void | Promise<void>;

/** One method of one path. A GET route answers HEAD too. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** The exact path; or, ending in `/*`, every path that begins so and goes on. */
  readonly path: string;
  readonly handler: Handler;
}

/** What one peer, or all of them, may take of an HTTP server. */
export interface HttpLimits {
  /** Ms until all of a request's header must have come. */
  readonly headersTimeoutMs: number;
  /** Ms until all of a request must have come. */
  readonly requestTimeoutMs: number;
  /** Ms that a connection may stay open between two requests. */
  readonly keepAliveTimeoutMs: number;
  /** Bytes of a request's header. */
  readonly maxHeaderBytes: number;
  /** Open connections, upgraded ones included; further ones are closed at once. 0: no limit here. */
  readonly maxConnections: number;
}

/**
 * Limits for small requests from peers nearby. The header limits are Node's own size and a tenth of
 * its times: nobody honest needs 60 s for a header. A public port's keep-alive is a setting
 * (`ServiceSettings.httpKeepAliveMs`); this one is for the admin port.
 */
export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 65_000,
  maxHeaderBytes: 16_384,
  maxConnections: 1_024,
};

/** How often Node looks for connections that are over time, in ms. Its own 30 s are too coarse. */
const TIMEOUT_CHECK_INTERVAL_MS = 1_000;

/** How long requests in flight may take to finish when the server closes, in ms. */
export const DEFAULT_CLOSE_DEADLINE_MS = 5_000;

/** An HTTP server with routes, limits and an orderly end. */
export interface HttpServer {
  /** Node's server, for listeners of `upgrade`. Whoever upgrades a socket also ends it. */
  readonly server: Server;
  /**
   * Begins to listen and returns the port, which differs from `port` when that is 0.
   *
   * @throws Error with a message that names the setting to change, when the address cannot be had.
   */
  listen(host: string, port: number, options?: { readonly reusePort: boolean }): Promise<number>;
  /**
   * Refuses new connections, lets requests in flight finish, and destroys what is left after
   * `deadlineMs`, upgraded sockets included. Does nothing before `listen`; may be called again, and
   * the earliest deadline holds.
   */
  close(deadlineMs?: number): Promise<void>;
}

/** Makes a server that does not listen yet. `portSetting` names the variable that errors speak of. */
export function createHttpServer(options: {
  readonly logger: Logger;
  readonly routes: readonly Route[];
  readonly limits: HttpLimits;
  readonly portSetting?: string;
}): HttpServer {
  const { logger, limits, portSetting = 'PORT' } = options;
  const drops = new LogLimiter(logger);
  const sockets = new Set<Socket>();
  let closing: Promise<void> | undefined;

  const server: Server = createServer(
    {
      // Other upgrades (`h2c`, which some HTTP clients offer on every request) are ignored, as RFC
      // 9110 allows: the request is answered as if it had not asked. So is every one where nobody
      // listens for upgrades: Node would close its connection without a word.
      shouldUpgradeCallback: (request) =>
        server.listenerCount('upgrade') > 0 &&
        request.headers.upgrade?.toLowerCase() === 'websocket',
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
    },
    createRouter(logger, options.routes),
  );
  server.on('request', (_request, response) => {
    response.once('close', () => {
      // What was in flight when the server began to close left its connection idle, not closed.
      if (closing !== undefined) setImmediate(() => server.closeIdleConnections());
    });
  });
  if (limits.maxConnections > 0) server.maxConnections = limits.maxConnections;
  server.on('drop', () => {
    drops.warn('connection_dropped', { maxConnections: limits.maxConnections, portSetting });
  });
  server.on('clientError', answerClientError);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  return {
    server,
    listen: (host, port, { reusePort } = { reusePort: false }) =>
      listenOn(server, { host, port, reusePort, portSetting }),
    async close(deadlineMs = DEFAULT_CLOSE_DEADLINE_MS) {
      if (!server.listening && closing === undefined) return;
      closing ??= new Promise((resolve) => server.close(() => resolve()));
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, deadlineMs);
      await closing;
      clearTimeout(timer);
    },
  };
}

function createRouter(logger: Logger, routes: readonly Route[]): RequestListener {
  const exact = new Map<string, Route[]>();
  const prefixed: Route[] = [];
  for (const route of routes) {
    if (route.path.endsWith('/*')) prefixed.push(route);
    else exact.set(route.path, [...(exact.get(route.path) ?? []), route]);
  }

  function candidatesFor(path: string): readonly Route[] {
    return exact.get(path) ?? prefixed.filter((route) => restOf(route, path) !== '');
  }

  return function route(request, response) {
    const [path = '', query = ''] = splitTarget(request.url ?? '');
    const candidates = candidatesFor(path);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const found = candidates.find((candidate) => candidate.method === method);
    if (candidates.length === 0) {
      sendError(response, SERVER_ERRORS.notFound);
    } else if (found === undefined) {
      sendError(response, SERVER_ERRORS.methodNotAllowed, { allow: allowed(candidates) });
    } else {
      const match = { path, rest: restOf(found, path), query: new URLSearchParams(query) };
      void answer(logger, found, request, response, match);
    }
  };
}

async function answer(
  logger: Logger,
  route: Route,
  request: IncomingMessage,
  response: ServerResponse,
  match: RouteMatch,
): Promise<void> {
  try {
    await route.handler(request, response, match);
  } catch (error) {
    if (error instanceof HttpError) {
      sendError(response, error.details, error.headers);
      return;
    }
    logger.error({ err: error, method: route.method, route: route.path }, 'request_failed');
    if (response.headersSent) response.destroy();
    else sendError(response, SERVER_ERRORS.internal);
  }
}

function splitTarget(target: string): readonly string[] {
  const origin = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?]*/i, '');
  const at = origin.indexOf('?');
  return at === -1 ? [origin] : [origin.slice(0, at), origin.slice(at + 1)];
}

function restOf(route: Route, path: string): string {
  if (!route.path.endsWith('/*')) return '';
  const prefix = route.path.slice(0, -1);
  return path.startsWith(prefix) ? path.slice(prefix.length) : '';
}

function allowed(candidates: readonly Route[]): string {
  const methods: string[] = candidates.map(({ method }) => method);
  if (methods.includes('GET')) methods.push('HEAD');
  return methods.join(', ');
}

function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const isTooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  endWithError(socket, isTooLarge ? SERVER_ERRORS.messageTooLarge : SERVER_ERRORS.badMessage);
}
