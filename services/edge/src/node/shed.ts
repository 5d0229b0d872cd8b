import { ERROR_CODES, type ErrorCode } from '@tradewind/protocol';
import { HttpError, type Route, sendJson } from '@tradewind/runtime';
import type { Connection } from '../clients/connection/connection.ts';
import { sendAway } from './drain.ts';

/** The most connections that one request may send away: more than any node holds. */
const MAX_SHED_COUNT = 1_000_000;

/** The longest time over which they may be sent away, in s. */
const MAX_SHED_SECONDS = 3_600;

/** What `POST /shed` asks for. */
export interface ShedRequest {
  readonly count: number;
  readonly overSeconds: number;
}

/**
 * Reads `?count=N&overSeconds=S`. Undefined unless both are integers within their limits. Seconds have no default,
 * because only somebody who knows the rest of the tier can say how fast clients may move.
 */
export function readShedRequest(query: URLSearchParams): ShedRequest | undefined {
  const count = readInteger(query.get('count'), 0, MAX_SHED_COUNT);
  const overSeconds = readInteger(query.get('overSeconds'), 1, MAX_SHED_SECONDS);
  return count === undefined || overSeconds === undefined ? undefined : { count, overSeconds };
}

/** What the route needs of its node. */
export interface SheddingNode {
  isDraining(): boolean;
  connections(): number;
  /** Starts to send clients away and returns at once. */
  shed(count: number, overSeconds: number): void;
}

/**
 * `POST /shed?count=N&overSeconds=S` sends N of the node's clients to other nodes within S seconds, each with a
 * `reconnect` notice, and continues to admit others. Answers 202 with the number of clients that it sends away and
 * the number that it had.
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

/**
 * Divides the number of clients that a node must send away over its workers, in proportion to what each holds. The
 * sum is `count`, or the number of all connections where that is smaller.
 */
export function divideShed(count: number, connections: readonly number[]): number[] {
  const total = connections.reduce((sum, each) => sum + each, 0);
  const wanted = Math.min(count, total);
  let seen = 0;
  let given = 0;
  return connections.map((each) => {
    seen += each;
    const upToHere = total === 0 ? 0 : Math.round((wanted * seen) / total);
    const share = upToHere - given;
    given = upToHere;
    return share;
  });
}

/**
 * Sends some of a worker's clients to other nodes, which have room, while the worker continues and refuses no new clients.
 * The clients are chosen at random, so that none is sent away again and again.
 */
export class Shedder {
  readonly #connections: ReadonlySet<Connection>;
  /** Clients that were told to leave and may still be connected. They are removed when their time is over. */
  readonly #leaving = new Set<Connection>();
  readonly #end = new AbortController();

  /** @param connections all of the worker's connections, which their owner keeps up to date. */
  constructor(connections: ReadonlySet<Connection>) {
    this.#connections = connections;
  }

  /** Sends `count` clients away. Resolves when their time is over. Another call may come meanwhile. */
  async shed(count: number, windowMs: number): Promise<void> {
    const staying = [...this.#connections].filter((connection) => !this.#leaving.has(connection));
    const chosen = new Set(chooseRandomly(staying, count));
    for (const connection of chosen) this.#leaving.add(connection);
    await sendAway(chosen, windowMs, 'rebalancing', this.#end.signal);
    for (const connection of chosen) this.#leaving.delete(connection);
  }

  /** Closes the clients that were told to leave at once, because the worker ends. */
  stop(): void {
    this.#end.abort();
  }
}

/** The first steps of a Fisher-Yates shuffle. Changes `items`. */
function chooseRandomly<T>(items: T[], count: number): T[] {
  const wanted = Math.min(count, items.length);
  for (let i = 0; i < wanted; i += 1) {
    const j = i + Math.floor(Math.random() * (items.length - i));
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
  return items.slice(0, wanted);
}

function readInteger(text: string | null, min: number, max: number): number | undefined {
  if (text === null || !/^[0-9]{1,9}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

function refusal(code: ErrorCode, message: string): HttpError {
  const { status, retryable } = ERROR_CODES[code];
  return new HttpError({ status, code, message, retryable });
}
