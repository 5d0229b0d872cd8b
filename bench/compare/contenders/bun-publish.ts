// Bun's own fan-out: topics of Bun.serve, fed by Bun's Redis client. Bun runs this file, not Node.
import { announce, redisUrl, type SubscribeMessage, subscribedAnswer } from './contract.ts';

/** The part of Bun that is used here. Bun's own types would replace Node's in the whole workspace. */
interface BunSocket {
  send(text: string): number;
  subscribe(topic: string): void;
}
interface BunServer {
  readonly port: number;
  upgrade(request: Request): boolean;
  publish(topic: string, text: string): number;
}
interface BunRedis {
  subscribe(
    channels: string[],
    listener: (payload: string, channel: string) => void,
  ): Promise<number>;
}
declare const Bun: {
  readonly RedisClient: new (url: string) => BunRedis;
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    readonly fetch: (request: Request, server: BunServer) => Response | undefined;
    readonly websocket: {
      readonly message: (socket: BunSocket, text: string) => Promise<void>;
    };
  }): BunServer;
};

const redis = new Bun.RedisClient(redisUrl());
const subscribed = new Map<string, Promise<unknown>>();
let seq = 0;

function publish(payload: string, channel: string): void {
  seq += 1;
  server.publish(
    channel,
    `{"seq":${seq},"channel":"${channel}","ts":${Date.now()},"data":${payload}}`,
  );
}

async function follow(channels: readonly string[]): Promise<void> {
  const fresh = channels.filter((channel) => !subscribed.has(channel));
  if (fresh.length > 0) {
    const confirmed = redis.subscribe(fresh, publish);
    for (const channel of fresh) subscribed.set(channel, confirmed);
  }
  await Promise.all(channels.map((channel) => subscribed.get(channel)));
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request, self) {
    return self.upgrade(request) ? undefined : new Response('WebSocket only', { status: 426 });
  },
  websocket: {
    async message(socket, text) {
      const request = JSON.parse(text) as SubscribeMessage;
      await follow(request.channels);
      socket.send(subscribedAnswer(request));
      for (const channel of request.channels) socket.subscribe(channel);
    },
  },
});

announce(server.port);
