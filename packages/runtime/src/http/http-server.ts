import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { LogLimiter } from '../log/log-limiter.ts';
import type { Logger } from '../log/logger.ts';
import { endWithError, type HttpErrorDetails, SERVER_ERRORS, sendError } from './http-error.ts';
import { listenOn } from './listen.ts';
import { PlainConnections } from './plain-connections.ts';
import { createRouter, type Route } from './router.ts';
import type { TlsCredentials } from './tls-credentials.ts';
import { onSecured } from './tls-handshakes.ts';

/** The limits of one peer, and of all peers together, of an HTTP server. */
export interface HttpLimits {
  /** Time for the whole header of a request, and for a TLS handshake before it, in ms. */
  readonly headersTimeoutMs: number;
  /** Time for the whole request, in ms. */
  readonly requestTimeoutMs: number;
  /** Time that a connection may stay open between two requests, in ms. */
  readonly keepAliveTimeoutMs: number;
  /** The largest header of a request, in bytes. */
  readonly maxHeaderBytes: number;
  /**
   * The most open connections that were not upgraded. When one more arrives, the connection that has waited longest
   * for its next request is closed. When all of them are being answered, the new one is closed.
   */
  readonly maxPlainConnections: number;
}

/**
 * Limits for small requests from peers nearby. The header limits are the size that Node has by default and a tenth of
 * its times: no honest peer needs 60 s for a header. The keep-alive time is for the admin port; that of a public port
 * is a setting (`ServiceSettings.httpKeepAliveMs`).
 */
export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 65_000,
  maxHeaderBytes: 16_384,
  maxPlainConnections: 1_024,
};

/** Time between two checks of Node for connections that are over time, in ms. The default of 30 s is too coarse. */
const TIMEOUT_CHECK_INTERVAL_MS = 1_000;

/** Errors of a connection that was not secured: nothing can be answered on it. */
const TLS_FAILURE = /^(ERR_SSL_|ERR_TLS_|EPROTO$)/;

/** Time for requests in flight to finish when the server closes, in ms. */
const DEFAULT_CLOSE_DEADLINE_MS = 5_000;

/** An HTTP server with routes, limits and an orderly end. */
export interface HttpServer {
  /** Node's server, for listeners of `upgrade`. Who upgrades a socket must also end it. */
  readonly server: Server;
  /** Whether one more connection would be closed at once, because all are being answered. */
  readonly isFull: boolean;
  /** Releases a socket that speaks another protocol from now on. It no longer counts as a plain connection. */
  upgraded(socket: Socket): void;
  /**
   * Listens from now on and returns the port, which differs from `port` when that is 0.
   *
   * @throws Error with a message that names the setting to change, when the address cannot be used.
   */
  listen(host: string, port: number, options?: { readonly reusePort: boolean }): Promise<number>;
  /** Uses another certificate for connections that come from now on. Only with a server that has one. */
  setTls(credentials: TlsCredentials): void;
  /**
   * Refuses new connections, lets requests in flight finish, and destroys what is left after `deadlineMs`, upgraded
   * sockets included. Does nothing before `listen`. It may be called again; the earliest deadline holds.
   */
  close(deadlineMs?: number): Promise<void>;
}

/** Decides about connections before anything of them is read: before HTTP, and before TLS. */
export interface ConnectionGate {
  /** Whether a connection must not be served. Then the gate has ended it already. */
  refuses(socket: Socket): boolean;
  /** Reads what precedes HTTP, if anything does, and calls `serve` when it has; now or later, once. Or ends the connection. */
  open(socket: Socket, serve: () => void): void;
  /** The TLS handshake of a connection is done: its requests have the second socket. */
  secured(accepted: Socket, secured: Socket): void;
  /** A connection that was not refused has ended. */
  closed(socket: Socket): void;
}

/**
 * Makes a server that does not listen yet.
 *
 * @param options.portSetting the variable that errors name.
 * @param options.gate decides about each connection. Without one, all are served.
 * @param options.connectionClosed is called for each connection that is closed because there are too many.
 * @param options.refusal why a request is refused whatever its route. Undefined when it is not.
 * @param options.tls the server's certificate. Undefined for a server without TLS.
 */
export function createHttpServer(options: {
  readonly logger: Logger;
  readonly routes: readonly Route[];
  readonly limits: HttpLimits;
  readonly portSetting?: string;
  readonly connectionClosed?: () => void;
  readonly gate?: ConnectionGate;
  readonly refusal?: ((request: IncomingMessage) => HttpErrorDetails | undefined) | undefined;
  readonly tls?: TlsCredentials | undefined;
}): HttpServer {
  const { logger, limits, portSetting = 'PORT', connectionClosed, gate, refusal, tls } = options;
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
    plain.beginAnswer(request.socket, response);
    response.once('close', () => {
      plain.endAnswer(request.socket, response);
      // A request in flight when the server began to close leaves its connection idle and open.
      if (closing !== undefined) setImmediate(() => server.closeIdleConnections());
    });
    const fault = refusal?.(request);
    if (fault === undefined) {
      answer(request, response);
      return;
    }
    drops.warn(`request_refused_${fault.code}`, { code: fault.code, portSetting });
    sendError(response, fault);
  }

  const httpOptions = {
    // Other upgrades (`h2c`, which some HTTP clients offer on every request) are ignored, as RFC 9110 allows: the
    // request is answered as if it had not asked. Every upgrade is ignored where nobody listens for upgrades,
    // because Node would close its connection silently.
    shouldUpgradeCallback: (request: IncomingMessage) =>
      server.listenerCount('upgrade') > 0 && request.headers.upgrade?.toLowerCase() === 'websocket',
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    serve(request, response);
  const secureServer: SecureServer | undefined =
    tls &&
    createSecureServer(
      { ...httpOptions, ...tls, handshakeTimeout: limits.headersTimeoutMs },
      onRequest,
    );
  const server: Server = secureServer ?? createServer(httpOptions, onRequest);
  // Node would ask for the body before anybody decided whether it is wanted. So the reader of the body asks for it.
  server.on('checkContinue', (request, response) => serve(request, response));
  server.on('checkExpectation', (request, response) => {
    serve(request, response, () => sendError(response, SERVER_ERRORS.expectationFailed));
  });
  server.on('connect', (_request, socket) => endWithError(socket, SERVER_ERRORS.methodNotAllowed));
  server.on('clientError', answerClientError);
  // Node's own listener, which begins to read. The gate comes before it.
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket) => {
    if (gate?.refuses(socket) === true) return;
    socket.on('close', onAcceptedClosed);
    if (!take(socket)) return;
    const serveSocket = (): void => {
      for (const listener of listeners) listener.call(server, socket);
    };
    if (gate === undefined) serveSocket();
    else gate.open(socket, serveSocket);
  });
  if (secureServer !== undefined) {
    onSecured(secureServer, (accepted, secured) => {
      plain.remove(accepted);
      gate?.secured(accepted, secured);
      secured.on('close', onTakenClosed);
      take(secured);
    });
  }

  // All sockets share these two, and none has more than one of them. Two listeners of its own, each called once, would cost a
  // connection, and the WebSocket that it becomes, 700 bytes.
  function onAcceptedClosed(this: Socket): void {
    gate?.closed(this);
    onTakenClosed.call(this);
  }

  function onTakenClosed(this: Socket): void {
    sockets.delete(this);
    plain.remove(this);
  }

  /** Counts a connection by the socket that its requests have; its close must be heard. Returns whether it has a place. */
  function take(socket: Socket): boolean {
    sockets.add(socket);
    const tooMany = plain.add(socket);
    if (tooMany === undefined) return true;
    tooMany.destroy();
    connectionClosed?.();
    drops.warn('connection_dropped', {
      maxPlainConnections: limits.maxPlainConnections,
      portSetting,
    });
    return tooMany !== socket;
  }

  return {
    server,
    get isFull() {
      return plain.isFull;
    },
    upgraded: (socket) => plain.remove(socket),
    setTls: (credentials) => secureServer?.setSecureContext(credentials),
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
  const isUnsecured = TLS_FAILURE.test(error.code ?? '');
  if (error.code === 'ECONNRESET' || isUnsecured || !socket.writable) {
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
