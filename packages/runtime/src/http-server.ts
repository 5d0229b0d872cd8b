import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { endWithError, type HttpErrorDetails, SERVER_ERRORS, sendError } from './http-error.ts';
import { listenOn } from './listen.ts';
import { LogLimiter } from './log-limiter.ts';
import type { Logger } from './logger.ts';
import { PlainConnections } from './plain-connections.ts';
import { createRouter, type Route } from './router.ts';

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
  /**
   * Open connections that were not upgraded. For a further one, the one that has waited longest for its
   * next request goes; while all are being answered, the further one goes.
   */
  readonly maxPlainConnections: number;
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
  maxPlainConnections: 1_024,
};

/** How often Node looks for connections that are over time, in ms. Its own 30 s are too coarse. */
const TIMEOUT_CHECK_INTERVAL_MS = 1_000;

/** How long requests in flight may take to finish when the server closes, in ms. */
export const DEFAULT_CLOSE_DEADLINE_MS = 5_000;

/** An HTTP server with routes, limits and an orderly end. */
export interface HttpServer {
  /** Node's server, for listeners of `upgrade`. Whoever upgrades a socket also ends it. */
  readonly server: Server;
  /** Whether a further connection would be turned away: all that there may be are being answered. */
  readonly isFull: boolean;
  /** A socket speaks another protocol from now on, and does not count as a plain connection any more. */
  upgraded(socket: Socket): void;
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

/**
 * Makes a server that does not listen yet.
 *
 * @param options.portSetting names the variable that errors speak of.
 * @param options.connectionClosed is told of each connection that is closed because there are too many.
 */
export function createHttpServer(options: {
  readonly logger: Logger;
  readonly routes: readonly Route[];
  readonly limits: HttpLimits;
  readonly portSetting?: string;
  readonly connectionClosed?: () => void;
}): HttpServer {
  const { logger, limits, portSetting = 'PORT', connectionClosed } = options;
  const drops = new LogLimiter(logger);
  const plain = new PlainConnections(limits.maxPlainConnections);
  const route = createRouter(logger, options.routes);
  const sockets = new Set<Socket>();
  let closing: Promise<void> | undefined;

  function serve(
    request: IncomingMessage,
    response: ServerResponse,
    answer: RequestListener = route,
  ): void {
    plain.asked(request.socket, response);
    response.once('close', () => {
      plain.answered(request.socket, response);
      // What was in flight when the server began to close left its connection idle, not closed.
      if (closing !== undefined) setImmediate(() => server.closeIdleConnections());
    });
    answer(request, response);
  }

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
    (request, response) => serve(request, response),
  );
  // Node would ask for the body before anybody looked whether it is wanted: whoever reads it asks.
  server.on('checkContinue', (request, response) => serve(request, response));
  server.on('checkExpectation', (request, response) => {
    serve(request, response, () => sendError(response, SERVER_ERRORS.expectationFailed));
  });
  server.on('connect', (_request, socket) => endWithError(socket, SERVER_ERRORS.methodNotAllowed));
  server.on('clientError', answerClientError);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      plain.forget(socket);
    });
    const tooMany = plain.opened(socket);
    if (tooMany === undefined) return;
    tooMany.destroy();
    connectionClosed?.();
    drops.warn('connection_dropped', {
      maxPlainConnections: limits.maxPlainConnections,
      portSetting,
    });
  });

  return {
    server,
    get isFull() {
      return plain.isFull;
    },
    upgraded: (socket) => plain.forget(socket),
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

function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  endWithError(socket, clientError(error.code));
}

function clientError(code: string | undefined): HttpErrorDetails {
  if (code === 'HPE_HEADER_OVERFLOW') return SERVER_ERRORS.messageTooLarge;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return SERVER_ERRORS.requestTimeout;
  return SERVER_ERRORS.badMessage;
}
