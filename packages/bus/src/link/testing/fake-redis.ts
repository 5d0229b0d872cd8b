import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

/** Answers a command with bytes to write (RESP), or with undefined to leave the usual answer. */
export type FakeAnswer = (command: readonly string[], socket: Socket) => string | undefined;

/** A server that speaks just enough RESP3 for a handshake; for this package's own tests. */
export interface FakeRedis extends AsyncDisposable {
  readonly url: string;
  /** Every command received so far, over all connections. */
  readonly commands: readonly (readonly string[])[];
  /** The connections that are open. */
  readonly sockets: ReadonlySet<Socket>;
}

/** What a test writes as bytes where a real Redis would leave the chunks to chance. */
export const resp = {
  subscribed: (channel: string, count: number) =>
    `>3\r\n${bulk('subscribe')}${bulk(channel)}:${count}\r\n`,
  unsubscribed: (channel: string, count: number) =>
    `>3\r\n${bulk('unsubscribe')}${bulk(channel)}:${count}\r\n`,
  message: (channel: string, payload: string) =>
    `>3\r\n${bulk('message')}${bulk(channel)}${bulk(payload)}`,
};

/** Starts a fake Redis on a free port of 127.0.0.1. `answer` may differ per test; '' answers nothing. */
export async function startFakeRedis(answer: FakeAnswer): Promise<FakeRedis> {
  const commands: (readonly string[])[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    let unread = '';
    socket.on('data', (chunk) => {
      unread += chunk.toString('latin1');
      for (let parsed = parse(unread); parsed !== undefined; parsed = parse(unread)) {
        unread = parsed.rest;
        commands.push(parsed.command);
        const reply = answer(parsed.command, socket) ?? usualAnswer(parsed.command);
        if (reply !== '') socket.write(reply);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');

  return {
    url: `redis://127.0.0.1:${address.port}`,
    commands,
    sockets,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function usualAnswer([name = '', ...args]: readonly string[]): string {
  switch (name.toLowerCase()) {
    case 'hello':
      return '%1\r\n+proto\r\n:3\r\n';
    case 'ping':
      return '+PONG\r\n';
    case 'client':
      return '+OK\r\n';
    case 'subscribe':
      return args.map((channel, index) => resp.subscribed(channel, index + 1)).join('');
    case 'unsubscribe':
      return args.map((channel) => resp.unsubscribed(channel, 0)).join('');
    case 'publish':
      return ':1\r\n';
    default:
      return '-ERR unknown command\r\n';
  }
}

/** Takes one array of bulk strings off the front, or nothing while it is incomplete. */
function parse(text: string): { command: string[]; rest: string } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  let at = head[0].length;
  const command: string[] = [];
  while (command.length < Number(head[1])) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at, at + 16));
    if (size === null) return undefined;
    at += size[0].length;
    const end = at + Number(size[1]);
    if (text.length < end + 2) return undefined;
    command.push(text.slice(at, end));
    at = end + 2;
  }
  return { command, rest: text.slice(at) };
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}
