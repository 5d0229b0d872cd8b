import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { closeLingering } from './lingering-close.ts';

/** A row of the table of error codes, together with what happened this time. */
export interface HttpErrorDetails {
  readonly status: number;
  /** A stable name from the table of the protocol. */
  readonly code: string;
  /** One line for people. It never repeats a secret. */
  readonly message: string;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
}

/** A handler throws it to answer with an error. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly details: HttpErrorDetails;
  /** Headers of the answer, such as `retry-after`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(details: HttpErrorDetails, headers: Readonly<Record<string, string>> = {}) {
    super(details.message);
    this.details = details;
    this.headers = headers;
  }
}

/**
 * The errors that an HTTP server answers with by itself. They repeat rows of the protocol's table, because this
 * package imports nothing of ours; a test of a service holds the two together.
 */
export const SERVER_ERRORS = {
  badMessage: row(400, 'bad_message', false, 'The request is not valid HTTP.'),
  unauthorized: row(401, 'unauthorized', false, 'The request needs a valid bearer token.'),
  originNotAllowed: row(
    403,
    'origin_not_allowed',
    false,
    'Pages of this origin may not connect here.',
  ),
  notFound: row(404, 'not_found', false, 'This path does not exist.'),
  methodNotAllowed: row(
    405,
    'method_not_allowed',
    false,
    'The path exists, but not for this HTTP method.',
  ),
  requestTimeout: row(408, 'request_timeout', true, 'The request came too slowly.'),
  messageTooLarge: row(413, 'message_too_large', false, 'The header is larger than the limit.'),
  expectationFailed: row(
    417,
    'expectation_failed',
    false,
    'A request may expect `100-continue` only.',
  ),
  hostNotAllowed: row(
    421,
    'host_not_allowed',
    false,
    'This port asks for no token, so it answers only to loopback names.',
  ),
  internal: row(500, 'internal', true, 'The node has a fault, which it logged.'),
} as const satisfies Record<string, HttpErrorDetails>;

/** Answers with a JSON text. Does nothing when an answer has begun. */
export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendText(response, status, `${JSON.stringify(value)}\n`, {
    'content-type': 'application/json; charset=utf-8',
    ...headers,
  });
}

/**
 * Answers with a text. Does nothing when an answer has begun. Closes the connection when the body of the request was
 * not read to its end, so that the peer does not send a body that is not used.
 */
export function sendText(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>>,
): void {
  if (response.headersSent || response.destroyed) return;
  const { req: request } = response;
  const closes = hasUnreadBody(request);
  response.writeHead(status, {
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...headers,
    ...(closes ? { connection: 'close' } : {}),
  });
  if (closes) {
    const { socket } = request;
    // Node calls this when the answer is on its way. Its own method would reset the connection.
    socket.destroySoon = () => {
      request.on('error', () => undefined);
      request.resume();
      closeLingering(socket);
    };
  }
  response.end(body);
}

function hasUnreadBody(request: IncomingMessage): boolean {
  if (request.complete) return false;
  const { 'transfer-encoding': coding, 'content-length': length } = request.headers;
  return coding !== undefined || (length !== undefined && Number(length) > 0);
}

/** Answers in the shape of all errors: `{"error":{"code","message","retryable"}}`. */
export function sendError(
  response: ServerResponse,
  details: HttpErrorDetails,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendJson(response, details.status, errorBody(details), headers);
}

/**
 * Answers with an error on a connection without a response object, as in the events `upgrade` and `clientError`, and
 * ends it. It ignores what fails on the way.
 */
export function endWithError(
  stream: Duplex,
  details: HttpErrorDetails,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = `${JSON.stringify(errorBody(details))}\n`;
  const all = {
    connection: 'close',
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  stream.write(
    [`HTTP/1.1 ${details.status} ${STATUS_CODES[details.status] ?? ''}`, ...lines, '', body].join(
      '\r\n',
    ),
  );
  closeLingering(stream);
}

/** The shape of all errors, as a value. */
export function errorBody(details: HttpErrorDetails): {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly retryable: boolean;
  };
} {
  const { code, message, retryable } = details;
  return { error: { code, message, retryable } };
}

function row(status: number, code: string, retryable: boolean, message: string): HttpErrorDetails {
  return { status, code, message, retryable };
}
