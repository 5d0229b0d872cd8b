import { Redis } from 'ioredis';

/** The channels that a Node contender receives from Redis. */
export interface ChannelSource {
  /** Subscribes to channels that are not subscribed yet; resolves once all of them flow. */
  subscribe(channels: readonly string[]): Promise<void>;
}

/** Opens a subscriber connection as ioredis' README shows it: one subscription a channel, for all its clients. */
export function openChannelSource(
  url: string,
  onMessage: (channel: string, payload: string) => void,
): ChannelSource {
  const redis = new Redis(url);
  const subscribed = new Map<string, Promise<unknown>>();
  redis.on('message', onMessage);

  return {
    async subscribe(channels) {
      const fresh = channels.filter((channel) => !subscribed.has(channel));
      if (fresh.length > 0) {
        const confirmed = redis.subscribe(...fresh);
        for (const channel of fresh) subscribed.set(channel, confirmed);
      }
      await Promise.all(channels.map((channel) => subscribed.get(channel)));
    },
  };
}
