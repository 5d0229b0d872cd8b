import { ERROR_CODES } from '@tradewind/protocol';
import { HttpError, type Route, SERVER_ERRORS, sendJson } from '@tradewind/runtime';
import { addSessionLists, type SessionList } from '../telemetry/session-list.ts';

/** The part of the path after `/v1/subjects/`. */
const SESSIONS_OF = /^([^/]+)\/sessions$/;

/**
 * `GET /v1/subjects/<sub>/sessions`: the sessions of a subject on this node. The subject is percent-encoded.
 *
 * @param list returns the sessions of each worker.
 */
export function createSessionsRoute(
  list: (subject: string) => Promise<readonly SessionList[]>,
): Route {
  return {
    method: 'GET',
    path: '/v1/subjects/*',
    async handler(_request, response, { rest }) {
      const encoded = SESSIONS_OF.exec(rest)?.[1];
      if (encoded === undefined) throw new HttpError(SERVER_ERRORS.notFound);
      const subject = decode(encoded);
      sendJson(response, 200, { subject, ...addSessionLists(await list(subject)) });
    },
  };
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    const { status, retryable } = ERROR_CODES.bad_message;
    const message = 'The path is not percent-encoded UTF-8.';
    throw new HttpError({ status, code: 'bad_message', message, retryable });
  }
}
