import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from '../log/logger.ts';
import { HttpError, SERVER_ERRORS, sendError } from './http-error.ts';
import { parseTarget } from './request-target.ts';

/** The parts of a path that a route matched. */
export interface RouteMatch {
  /** The path without the query, still percent-encoded. */
  readonly path: string;
  /** The part that a trailing `*` matched, still percent-encoded. Empty without one. */
  readonly rest: string;
  readonly query: URLSearchParams;
}

/** Answers a request. An {@link HttpError} that it throws becomes the answer, and any other error becomes a 500. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  match: RouteMatch,
) => void | Promise<void>;

/** One method of one path. A GET route also answers HEAD. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** The exact path, or with `/*` at its end every longer path that begins so. */
  readonly path: string;
  readonly handler: Handler;
}

/** Finds the route of each request. Answers by itself when there is none. */
export function createRouter(logger: Logger, routes: readonly Route[]): RequestListener {
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
    const { path, query } = parseTarget(request.url ?? '');
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
