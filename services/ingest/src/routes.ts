import type { IncomingMessage, ServerResponse } from 'node:http';
import { createBearerCheck, type Route, type RouteMatch, TokenBucket } from '@tradewind/runtime';
import { answerMany, answerOne } from './answer.ts';
import { batchFormatOf, itemsOf, type SourceValue } from './batch.ts';
import type { IngestLimits } from './config.ts';
import type { IngestEvents, RouteName } from './events.ts';
import { refusal } from './faults.ts';
import type { Item } from './item.ts';
import { type ItemResult, type Publisher, publishItems } from './publish.ts';
import { publishEntry } from './publish-entry.ts';
import { channelOfPath, rawItem } from './raw-payload.ts';
import { readBody } from './request-body.ts';
import { tradeEntry } from './trade-entry.ts';

/** Requests being worked on, and whether more may come. */
export interface Admission {
  requestsInFlight: number;
  draining: boolean;
}

/** The interface to publish by: `/v1/channels/<channel>`, `/v1/publish` and `/v1/trades`. */
export function createRoutes(options: {
  readonly publisher: Publisher;
  readonly events: IngestEvents;
  readonly limits: IngestLimits;
  readonly tokens: readonly string[];
  readonly admission: Admission;
}): readonly Route[] {
  const { publisher, events, limits, tokens, admission } = options;
  const { maxBodyBytes, maxItems, maxPublicationBytes, publicationsPerSecond } = limits;
  const bucket = new TokenBucket(
    { perSecond: publicationsPerSecond, burst: Math.max(publicationsPerSecond, maxItems) },
    performance.now(),
  );
  const isAuthorized = tokens.length === 0 ? (): boolean => true : createBearerCheck(tokens);

  async function publish(route: RouteName, items: readonly Item[]): Promise<readonly ItemResult[]> {
    const wanted = items.filter((item) => item.ok).length;
    if (publisher.available && !bucket.take(performance.now(), wanted)) {
      events.rateLimited(route, 'publications');
      const message = `All requests together may publish ${publicationsPerSecond} per second.`;
      throw refusal('rate_limited', message, Math.ceil(bucket.waitMs(wanted) / 1_000));
    }
    const results = await publishItems(publisher, items);
    events.itemsDone(route, results);
    return results;
  }

  function admit(route: RouteName, request: IncomingMessage): void {
    if (!isAuthorized(request)) {
      events.unauthorized(route);
      throw refusal('unauthorized');
    }
    if (admission.draining) throw refusal('draining');
    if (admission.requestsInFlight >= limits.maxInFlight) {
      events.rateLimited(route, 'in_flight');
      throw refusal('rate_limited', `More than ${limits.maxInFlight} requests are in flight.`);
    }
  }

  function post(
    route: RouteName,
    path: string,
    handle: (
      request: IncomingMessage,
      response: ServerResponse,
      match: RouteMatch,
    ) => Promise<void>,
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
        admit(route, request);
        admission.requestsInFlight += 1;
        try {
          await handle(request, response, match);
        } finally {
          admission.requestsInFlight -= 1;
        }
      },
    };
  }

  function postBatch(
    route: RouteName,
    path: string,
    toItem: (source: SourceValue, maxPublicationBytes: number) => Item,
  ): Route {
    return post(route, path, async (request, response) => {
      const format = batchFormatOf(request.headers['content-type']);
      const body = await readBody(request, maxBodyBytes);
      const items = itemsOf(body, format, maxItems, (source) =>
        toItem(source, maxPublicationBytes),
      );
      answerMany(response, await publish(route, items));
    });
  }

  return [
    post('channel', '/v1/channels/*', async (request, response, { rest }) => {
      const channel = channelOfPath(rest);
      const body = await readBody(request, maxBodyBytes);
      const [result] = await publish('channel', [rawItem(channel, body, maxPublicationBytes)]);
      if (result !== undefined) answerOne(response, result);
    }),
    postBatch('publish', '/v1/publish', publishEntry),
    postBatch('trades', '/v1/trades', tradeEntry),
  ];
}
