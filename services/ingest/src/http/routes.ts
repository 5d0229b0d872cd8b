import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { type Route, type RouteMatch, TokenBucket } from '@tradewind/runtime';
import type { Caller } from '../access/caller.ts';
import type { Callers } from '../access/callers.ts';
import type { IngestLimits } from '../config.ts';
import type { IngestEvents, RouteName } from '../events.ts';
import { fault, refusal } from '../publishing/faults.ts';
import type { Item } from '../publishing/item.ts';
import type { ItemResult } from '../publishing/publish.ts';
import type { PublishQueue } from '../publishing/publish-queue.ts';
import { admitCaller } from './admit-caller.ts';
import { answerMany, answerOne } from './answer.ts';
import { batchFormatOf, itemsOf, type SourceValue } from './batch.ts';
import { BodyPlaces } from './body-places.ts';
import { keyOfHeaders, refuseKeyHeader, sourceOfHeaders } from './idempotency-key.ts';
import { publishEntry } from './publish-entry.ts';
import { channelOfPath, rawItem } from './raw-payload.ts';
import { checkHeaders, declaresJson, readBody } from './request-body.ts';
import { tradeEntry } from './trade-entry.ts';

/** The requests in flight, and whether more are accepted. */
export interface Admission {
  /** Requests that are read, published or answered. */
  requestsInFlight: number;
  /** New requests are refused. */
  draining: boolean;
}

/** The message for each limit of bodies that is reached. */
const IN_FLIGHT_MESSAGES = {
  in_flight: ({ maxInFlight }: IngestLimits) => `${maxInFlight} requests are being read already.`,
  in_flight_per_token: ({ maxInFlightPerToken }: IngestLimits) =>
    `${maxInFlightPerToken} requests of this token are being read already.`,
} as const;

/** The message for each rate of a token that is spent. */
const SPENT_MESSAGES = {
  token_publications: 'The token has spent its publications of this second.',
  token_bytes: 'The token has spent its bytes of this second.',
} as const;

/** Creates the routes for publishing: `/v1/channels/<channel>`, `/v1/publish` and `/v1/trades`. */
export function createRoutes(options: {
  readonly publisher: { readonly available: boolean };
  readonly queue: Pick<PublishQueue, 'submit'>;
  readonly events: IngestEvents;
  readonly limits: IngestLimits;
  readonly callers: Callers;
  readonly admission: Admission;
}): readonly Route[] {
  const { publisher, queue, events, limits, admission } = options;
  const { maxBodyBytes, maxItems, maxPublicationBytes, publicationsPerSecond } = limits;
  const bucket = new TokenBucket(
    { perSecond: publicationsPerSecond, burst: Math.max(publicationsPerSecond, maxItems) },
    performance.now(),
  );
  const places = new BodyPlaces(limits);

  function publish(
    route: RouteName,
    caller: Caller,
    asked: readonly Item[],
  ): Promise<readonly ItemResult[]> {
    const items = asked.map((item) => allowed(item, caller));
    // What cannot be published now spends nothing of a rate.
    if (publisher.available) takeRates(route, caller, items);
    return queue.submit(items);
  }

  function takeRates(route: RouteName, { name, budget }: Caller, items: readonly Item[]): void {
    const publications = items.flatMap((item) => (item.ok ? [item.publication] : []));
    const wanted = publications.length;
    const bytes = publications.reduce((sum, each) => sum + each.bytes, 0);
    const now = performance.now();
    const spent = budget.take(now, wanted, bytes);
    if (spent !== undefined) {
      events.rateLimited(route, spent.limit, name);
      throw refusal('rate_limited', SPENT_MESSAGES[spent.limit], Math.ceil(spent.waitMs / 1_000));
    }
    if (!bucket.take(now, wanted)) {
      budget.giveBack(now, wanted, bytes);
      events.rateLimited(route, 'publications', name);
      const message = `All requests together may publish ${publicationsPerSecond} per second.`;
      throw refusal('rate_limited', message, Math.ceil(bucket.waitMs(wanted) / 1_000));
    }
  }

  /** Takes a place for the request's body, which the caller of the request holds by its name. */
  function admit(route: RouteName, request: IncomingMessage): Caller {
    const caller = admitCaller(options, route, request, 'publish');
    if (admission.draining) throw refusal('draining');
    const limit = places.take(caller.name);
    if (limit === undefined) return caller;
    events.rateLimited(route, limit, caller.name);
    throw refusal('rate_limited', IN_FLIGHT_MESSAGES[limit](limits));
  }

  // A chain of promises instead of an async function: while a publication waits for Redis, nothing here must hold the body
  // that it was cut from.
  function post(
    route: RouteName,
    path: string,
    read: (
      request: IncomingMessage,
      response: ServerResponse,
      match: RouteMatch,
    ) => Promise<readonly Item[]>,
    answer: (response: ServerResponse, results: readonly ItemResult[]) => void,
  ): Route {
    return {
      method: 'POST',
      path,
      async handler(request, response, match) {
        const startedAt = performance.now();
        response.once('close', () => {
          const status = response.writableFinished ? response.statusCode : 'aborted';
          events.requestDone(route, status, (performance.now() - startedAt) / 1_000);
        });
        const caller = admit(route, request);
        admission.requestsInFlight += 1;
        return read(request, response, match)
          .finally(() => places.giveBack(caller.name))
          .then((items) => publish(route, caller, items))
          .then((results) => {
            events.itemsDone(route, results);
            answer(response, results);
          })
          .finally(() => {
            admission.requestsInFlight -= 1;
          });
      },
    };
  }

  function postBatch(
    route: RouteName,
    path: string,
    entryReader: (headers: IncomingHttpHeaders) => (source: SourceValue) => Item,
  ): Route {
    async function read(
      request: IncomingMessage,
      response: ServerResponse,
    ): Promise<readonly Item[]> {
      checkHeaders(request);
      refuseKeyHeader(request.headers);
      const toItem = entryReader(request.headers);
      const format = batchFormatOf(request.headers['content-type']);
      return itemsOf(await readBody(request, response, maxBodyBytes), format, maxItems, toItem);
    }
    return post(route, path, read, answerMany);
  }

  async function readChannel(
    request: IncomingMessage,
    response: ServerResponse,
    { rest }: RouteMatch,
  ): Promise<readonly Item[]> {
    const channel = channelOfPath(rest);
    checkHeaders(request);
    const key = keyOfHeaders(request.headers);
    const body = await readBody(request, response, maxBodyBytes);
    const payload = { body, isJson: declaresJson(request.headers), isText: events.textPayload };
    return [rawItem(channel, payload, maxPublicationBytes, key)];
  }

  return [
    post('channel', '/v1/channels/*', readChannel, (response, [result]) => {
      if (result !== undefined) answerOne(response, result);
    }),
    postBatch(
      'publish',
      '/v1/publish',
      () => (source) => publishEntry(source, maxPublicationBytes),
    ),
    postBatch('trades', '/v1/trades', (headers) => {
      const origin = { source: sourceOfHeaders(headers) };
      return (source) => tradeEntry(source, maxPublicationBytes, origin);
    }),
  ];
}

/** Refuses an item whose channel its caller may not publish to. */
function allowed(item: Item, caller: Caller): Item {
  if (!item.ok || caller.mayPublish(item.publication.channel)) return item;
  const message = 'The token gives no right to publish to this channel.';
  return { ok: false, error: fault('channel_not_allowed', message) };
}
