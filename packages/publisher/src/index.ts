export { PublishError } from './publish-error.ts';
export {
  type CallOptions,
  createPublisher,
  type Publication,
  type PublicationData,
  type Published,
  type Publisher,
  type PublisherOptions,
  type PublishOptions,
  type PublishResult,
} from './publisher.ts';
export type {
  IoredisLike,
  NodeRedisLike,
  PublisherRedis,
  RedisArgument,
  SendCommand,
} from './redis-connection.ts';
