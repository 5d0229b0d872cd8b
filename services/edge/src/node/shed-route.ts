import { ERROR_CODES, type ErrorCode } from '@tradewind/protocol';
import { HttpError, type Route, sendJson } from '@tradewind/runtime';
import { MAX_SHED_COUNT, MAX_SHED_SECONDS, readShedRequest } from './shed.ts';

/** What the route needs of its node. */
export interface SheddingNode {
  isDraining(): boolean;
  connections(): number;
  /** Begins and returns at once. */
  shed(count: number, overSeconds: number): void;
}

/**
 * `POST /shed?count=N&overSeconds=S`: sends N of the node's clients to other nodes within S seconds, with
 * a `reconnect` notice each, and goes on admitting others. Answers 202 with how many it was asked of how many.
 */
export function createShedRoute(node: SheddingNode): Route {
  return {
    method: 'POST',
    path: '/shed',
    handler(_request, response, { query }) {
      const request = readShedRequest(query);
      if (request === undefined) {
        throw refusal(
          'bad_message',
          `\`count\` must be an integer from 0 to ${MAX_SHED_COUNT} and \`overSeconds\` one from 1 to ${MAX_SHED_SECONDS}.`,
        );
      }
      if (node.isDraining()) throw refusal('draining', ERROR_CODES.draining.meaning);
      const connections = node.connections();
      const count = Math.min(request.count, connections);
      if (count > 0) node.shed(count, request.overSeconds);
      const { overSeconds } = request;
      sendJson(response, 202, { status: 'shedding', connections, count, overSeconds });
    },
  };
}

function refusal(code: ErrorCode, message: string): HttpError {
  const { status, retryable } = ERROR_CODES[code];
  return new HttpError({ status, code, message, retryable });
}
