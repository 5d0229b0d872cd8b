import { MAX_REVOCATIONS, type RedisCommands, type Revocation } from '@tradewind/bus';
import {
  HttpError,
  type Route,
  type RouteMatch,
  SERVER_ERRORS,
  sendJson,
} from '@tradewind/runtime';
import type { Callers } from '../access/callers.ts';
import type { IngestEvents, RevocationRoute } from '../events.ts';
import { refusal, retryHeaders } from '../publishing/faults.ts';
import { failureOf } from '../publishing/publish.ts';
import { admitCaller } from './admit-caller.ts';
import { checkHeaders, readBody } from './request-body.ts';
import { readDisconnect, readTokenRevocation } from './revocation-order.ts';
import type { Admission } from './routes.ts';

/** The largest body, in bytes: two of the longest names, escaped. */
const MAX_ORDER_BYTES = 4_096;

/** The part of the path after `/v1/subjects/`. */
const DISCONNECT_OF = /^([^/]+)\/disconnect$/;

/** What the routes need. */
export interface RevocationRouteParts {
  readonly redis: Pick<RedisCommands, 'revoke'>;
  readonly callers: Callers;
  readonly events: IngestEvents;
  readonly admission: Admission;
}

/** Creates the routes that take tokens back: `/v1/subjects/<sub>/disconnect` and `/v1/tokens/revoke`. */
export function createRevocationRoutes(parts: RevocationRouteParts): readonly Route[] {
  function post(
    route: RevocationRoute,
    path: string,
    read: (match: RouteMatch, body: Buffer, now: number) => Revocation,
  ): Route {
    return {
      method: 'POST',
      path,
      async handler(request, response, match) {
        const { events, admission } = parts;
        const startedAt = performance.now();
        response.once('close', () => {
          const status = response.writableFinished ? response.statusCode : 'aborted';
          events.requestDone(route, status, (performance.now() - startedAt) / 1_000);
        });
        const caller = admitCaller(parts, route, request, 'revoke');
        if (admission.draining) throw refusal('draining');
        admission.requestsInFlight += 1;
        try {
          checkHeaders(request);
          const body = await readBody(request, response, MAX_ORDER_BYTES);
          const now = Date.now();
          const revocation = read(match, body, now);
          const nodes = await revoke(parts, route, revocation, now);
          events.revoked(route, caller.name, revocation);
          const { tokenId: jti, ...rest } = revocation;
          sendJson(response, 200, { ...rest, jti, nodes });
        } finally {
          admission.requestsInFlight -= 1;
        }
      },
    };
  }

  return [
    post('disconnect', '/v1/subjects/*', ({ rest }, body, now) => {
      return readDisconnect(subjectOf(rest), body, now);
    }),
    post('revoke', '/v1/tokens/revoke', (_match, body, now) => readTokenRevocation(body, now)),
  ];
}

/** Revokes, and returns the number of nodes that Redis told at once. */
async function revoke(
  { redis, events }: RevocationRouteParts,
  route: RevocationRoute,
  revocation: Revocation,
  now: number,
): Promise<number> {
  let nodes: number | undefined;
  try {
    nodes = await redis.revoke(revocation, now);
  } catch (error) {
    const failure = failureOf(error);
    if (failure === undefined) throw error;
    events.revocationFailed(route, failure.cause);
    // The code for NOPERM speaks of channels.
    if (!failure.error.retryable) throw refusal('unavailable', 'Redis refuses to keep it.');
    throw new HttpError(failure.error, retryHeaders(failure.error));
  }
  if (nodes !== undefined) return nodes;
  events.revocationFailed(route, `${MAX_REVOCATIONS} are in force`);
  throw refusal('storage_full', `${MAX_REVOCATIONS} revocations are in force already.`);
}

function subjectOf(rest: string): string {
  const encoded = DISCONNECT_OF.exec(rest)?.[1];
  if (encoded === undefined) throw new HttpError(SERVER_ERRORS.notFound);
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw refusal('bad_message', 'The path is not percent-encoded UTF-8.');
  }
}
