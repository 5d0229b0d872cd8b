import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A proxy between a client and its Redis that can send commands in the client's name, or fall silent. */
export interface CommandProxy extends AsyncDisposable {
  readonly url: string;
  /** Sends a command on every connection that has subscribed; its reply goes to the client, which did not send it. */
  inject(...command: readonly string[]): void;
  /** Replies of Redis that no client gets; they must come in one piece. */
  hides: RegExp | undefined;
  /** Connects new connections to this port of 127.0.0.1. */
  redisPort: number;
  /** While true, no byte passes either way and every socket stays open: a half-open connection. */
  blackhole: boolean;
}

/** Starts a proxy to a port of 127.0.0.1. The caller ends it, for example by `await using`. */
export async function startCommandProxy(redisPort: number): Promise<CommandProxy> {
  const subscribed = new Set<Socket>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const redis = connect(proxy.redisPort, '127.0.0.1');
    pass(client, redis, (bytes) => {
      if (/subscribe/i.test(bytes.toString('latin1'))) subscribed.add(redis);
      return bytes;
    });
    pass(redis, client, (bytes) =>
      proxy.hides === undefined
        ? bytes
        : Buffer.from(bytes.toString('latin1').replace(proxy.hides, ''), 'latin1'),
    );
    redis.once('close', () => subscribed.delete(redis));
  });

  function pass(from: Socket, to: Socket, change: (bytes: Buffer) => Buffer): void {
    sockets.add(from);
    from.on('error', () => {});
    from.on('data', (bytes) => {
      if (!proxy.blackhole) to.write(change(bytes));
    });
    from.once('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const proxy: CommandProxy = {
    url: `redis://127.0.0.1:${address.port}`,
    ...{ blackhole: false, hides: undefined, redisPort },
    inject(...command) {
      const words = command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      // Between two commands, because a client writes each to its socket in one piece.
      for (const redis of subscribed) redis.write(`*${command.length}\r\n${words.join('')}`);
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}
