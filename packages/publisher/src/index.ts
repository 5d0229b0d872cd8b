export { PublishError } from './publish-error.ts';
export { createPublisher } from './publisher.ts';
export type {
  IoredisLike,
  NodeRedisLike,
  PublisherRedis,
  RedisArgument,
  SendCommand,
} from './redis-connection.ts';
export type {
  CallOptions,
  Publication,
  PublicationData,
  Published,
  Publisher,
  PublisherOptions,
  PublishOptions,
  PublishResult,
} from './types.ts';
