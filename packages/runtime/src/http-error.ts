import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** A row of the table of error codes, together with what happened this time. */
export interface HttpErrorDetails {
  readonly status: number;
  /** A stable name out of the protocol's table. */
  readonly code: string;
  /** One line for people; it never repeats a secret. */
  readonly message: string;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
}

/** Thrown by a handler to answer with an error. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly details: HttpErrorDetails;
  /** Headers that belong to the answer, such as `retry-after`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(details: HttpErrorDetails, headers: Readonly<Record<string, string>> = {}) {
    super(details.message);
    this.details = details;
    this.headers = headers;
  }
}

/**
 * The errors that an HTTP server answers with by itself. This package imports nothing of ours, so
 * they repeat rows of the protocol's table; a test of a service holds the two together.
 */
export const SERVER_ERRORS = {
  badMessage: row(400, 'bad_message', false, 'The request is not valid HTTP, or came too slowly.'),
  unauthorized: row(401, 'unauthorized', false, 'A valid bearer token is needed.'),
  notFound: row(404, 'not_found', false, 'No such path.'),
  methodNotAllowed: row(
    405,
    'method_not_allowed',
    false,
    'The path exists, but not for this HTTP method.',
  ),
  messageTooLarge: row(413, 'message_too_large', false, 'The header is larger than the limit.'),
  internal: row(500, 'internal', true, 'A fault of the node; it is logged there.'),
} as const satisfies Record<string, HttpErrorDetails>;

/** Answers with a JSON text. Does nothing when an answer has been begun. */
export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(body);
}

/** Answers in the one shape that all errors have: `{"error":{"code","message","retryable"}}`. */
export function sendError(
  response: ServerResponse,
  details: HttpErrorDetails,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendJson(response, details.status, errorBody(details), headers);
}

/**
 * Answers with an error on a connection that has no response object, as in the events `upgrade` and
 * `clientError`, and ends it. What goes wrong on the way is nobody's business any more.
 */
export function endWithError(
  stream: Duplex,
  details: HttpErrorDetails,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = `${JSON.stringify(errorBody(details))}\n`;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  stream.on('error', () => stream.destroy());
  stream.end(
    [
      `HTTP/1.1 ${details.status} ${STATUS_CODES[details.status] ?? ''}`,
      'connection: close',
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      ...lines,
      '',
      body,
    ].join('\r\n'),
    () => stream.destroy(),
  );
}

/** The one shape that all errors have, as a value. */
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
