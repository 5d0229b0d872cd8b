import { createPublisher, PublishError, type PublisherRedis } from '@tradewind/publisher';
import {
  payloadOf,
  VECTORS,
  type VectorError,
  type VectorItem,
  type VectorResult,
} from './vectors.ts';

export type DriverResult = VectorResult | VectorError;

export interface DriverOptions {
  /** Calls `publishMany`; otherwise `publish` for one item. */
  readonly many?: boolean;
  readonly deadlineMs?: number;
}

/** A publisher library at work, in this process or another one. */
export interface PublisherDriver extends AsyncDisposable {
  publish(items: readonly VectorItem[], options?: DriverOptions): Promise<DriverResult[]>;
}

/** A library in one language, on one Redis client. */
export interface PublisherLibrary {
  readonly name: string;
  /** Whether it makes JSON of objects itself. */
  readonly encodesObjects: boolean;
  /** Whether it runs on the client of a Cluster. */
  readonly isCluster: boolean;
  /** What its Redis client asks for beside the rights of a publisher. */
  readonly rights?: readonly string[];
  /**
   * Resolves with a sentence where something is missing. The caller ends the driver.
   *
   * @param redisUrl of Redis, or of one node of the Cluster.
   */
  start(redisUrl: string, useFunction?: boolean): Promise<PublisherDriver | string>;
}

/** Drives `@tradewind/publisher` on a client that `end` ends. */
export function drivePackage(
  redis: PublisherRedis,
  useFunction: boolean,
  end: () => unknown,
): PublisherDriver {
  const publisher = createPublisher(redis, { ...VECTORS.options, useFunction });
  return {
    async publish(items, { many = false, deadlineMs = VECTORS.options.deadlineMs } = {}) {
      const publications = items.map((item) => ({
        channel: item.channel,
        data: item.json === undefined ? dataOf(item) : (item.json as object),
        ...(item.key === undefined ? {} : { key: item.key }),
      }));
      if (many) {
        const results = await publisher.publishMany(publications, { deadlineMs });
        return results.map((result) => {
          if (!result.ok) return errorOf(result.error);
          const { epoch, offset, duplicate } = result;
          return { epoch, offset, duplicate };
        });
      }
      const { channel, data, ...options } = publications[0]!;
      return await publisher.publish(channel, data, { ...options, deadlineMs }).then(
        (published) => [published],
        (error: unknown) => [errorOf(error)],
      );
    },
    async [Symbol.asyncDispose]() {
      await end();
    },
  };
}

function dataOf(item: VectorItem): string | Buffer {
  return item.text ?? payloadOf(item);
}

function errorOf(error: unknown): VectorError {
  if (!(error instanceof PublishError)) throw error;
  return { code: error.code, retryable: error.retryable, published: error.published };
}
