import type { Socket } from 'node:net';
import type { Direction, ProxiedLink, PublishedMessage, Snare } from './proxy-faults.ts';
import { commandWords, type RespFrame, RespFrames } from './resp-frames.ts';
import { type PipeWeather, TcpPipe } from './tcp-pipe.ts';

/** What a connection asks of its proxy, and tells it. */
export interface LinkOwner {
  weather(direction: Direction): PipeWeather;
  command(words: readonly string[]): void;
  snareOf(kinds: readonly Snare['kind'][], matches: (snare: Snare) => boolean): Snare | undefined;
  ended(): void;
}

/** An entry in the queue of replies: an answer of ours, or a reply to drop. */
type Awaited =
  | { readonly reply: number; readonly kind: 'insert'; readonly bytes: Buffer }
  | { readonly reply: number; readonly kind: 'drop' };

/** One connection through the proxy: two sockets and a pipe each way. */
export class Link implements ProxiedLink {
  readonly number: number;
  name: string | undefined;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #owner: LinkOwner;
  readonly #toServer: TcpPipe;
  readonly #toClient: TcpPipe;
  readonly #commands = new RespFrames();
  readonly #replies = new RespFrames();
  readonly #awaited: Awaited[] = [];
  /** Replies that Redis still owes for the commands that passed. */
  #repliesDue = 0;
  #repliesSeen = 0;
  #resp3 = false;
  #deaf = false;
  #closedSockets = 0;

  constructor(number: number, client: Socket, server: Socket, redis: boolean, owner: LinkOwner) {
    this.number = number;
    this.#client = client;
    this.#server = server;
    this.#owner = owner;
    this.#toServer = new TcpPipe(client, server, () => owner.weather('to-server'));
    this.#toClient = new TcpPipe(server, client, () => owner.weather('to-client'));
    this.#join(client, this.#toServer, redis ? (chunk) => this.#takeCommands(chunk) : undefined);
    this.#join(server, this.#toClient, redis ? (chunk) => this.#takeReplies(chunk) : undefined);
  }

  flow(): void {
    this.#toServer.flow();
    this.#toClient.flow();
  }

  cut(): void {
    this.#forget();
    this.#client.destroySoon();
    this.#server.destroySoon();
  }

  reset(): void {
    this.#forget();
    resetSocket(this.#client);
    resetSocket(this.#server);
  }

  destroy(): void {
    this.#forget();
    this.#client.destroy();
    this.#server.destroy();
  }

  #join(socket: Socket, pipe: TcpPipe, take: ((chunk: Buffer) => void) | undefined): void {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      if (take === undefined) pipe.push(bytes);
      else take(bytes);
    });
    socket.on('end', () => pipe.end());
    socket.on('close', () => {
      pipe.end();
      this.#closedSockets += 1;
      if (this.#closedSockets < 2) return;
      this.#forget();
      this.#owner.ended();
    });
  }

  #forget(): void {
    this.#toServer.close();
    this.#toClient.close();
  }

  #takeCommands(chunk: Buffer): void {
    for (const frame of this.#commands.take(chunk)) {
      const words = commandWords(frame.value);
      this.#learnFrom(words);
      this.#owner.command(words);
      if (!this.#deaf) this.#passCommand(frame, words);
    }
  }

  #learnFrom(words: readonly string[]): void {
    const [command = '', second = ''] = words;
    if (/^hello$/i.test(command)) {
      this.#resp3 = second === '3';
      const at = words.findIndex((word) => /^setname$/i.test(word));
      if (at !== -1) this.name = words[at + 1];
    } else if (/^client$/i.test(command) && /^setname$/i.test(second)) {
      this.name = words[2];
    }
  }

  #passCommand(frame: RespFrame, words: readonly string[]): void {
    const snare = this.#owner.snareOf(['swallow-command', 'drop-reply'], (each) =>
      'answer' in each ? each.matches(words) : each.kind === 'drop-reply' && each.matches(words),
    );
    if (snare?.kind === 'swallow-command') {
      if (snare.answer === undefined) this.#deaf = true;
      else this.#insert(snare.answer);
      return;
    }
    if (snare?.kind === 'drop-reply')
      this.#awaited.push({ reply: this.#repliesDue + 1, kind: 'drop' });
    this.#repliesDue += this.#repliesTo(words);
    this.#toServer.push(frame.bytes);
  }

  /** Inserts an answer of ours in place of Redis' reply. */
  #insert(bytes: Buffer): void {
    if (this.#repliesSeen === this.#repliesDue) this.#toClient.push(bytes);
    else this.#awaited.push({ reply: this.#repliesDue, kind: 'insert', bytes });
  }

  /** (Un)subscribing is answered by pushes in RESP3, and by one array for each channel in RESP2. */
  #repliesTo(words: readonly string[]): number {
    if (!/^[sp]?(un)?subscribe$/i.test(words[0] ?? '')) return 1;
    return this.#resp3 ? 0 : Math.max(1, words.length - 1);
  }

  #takeReplies(chunk: Buffer): void {
    for (const frame of this.#replies.take(chunk)) {
      const message = publishedMessage(frame);
      if (message !== undefined) {
        if (!this.#passMessage(frame, message)) return;
      } else if (frame.type === '>') {
        this.#toClient.push(frame.bytes);
      } else if (!this.#passReply(frame)) {
        return;
      }
    }
  }

  /** Returns false if the connection was ended. */
  #passMessage(frame: RespFrame, message: PublishedMessage): boolean {
    const snare = this.#owner.snareOf(
      ['swallow-message', 'cut-message'],
      (each) =>
        (each.kind === 'swallow-message' || each.kind === 'cut-message') && each.matches(message),
    );
    if (snare === undefined) this.#toClient.push(frame.bytes);
    if (snare?.kind !== 'cut-message') return true;
    this.#client.write(frame.bytes.subarray(0, frame.bytes.length >> 1));
    this.cut();
    return false;
  }

  /** Returns false if the connection was ended. */
  #passReply(frame: RespFrame): boolean {
    this.#repliesSeen += 1;
    if (this.#awaited[0]?.kind === 'drop' && this.#awaited[0].reply === this.#repliesSeen) {
      this.cut();
      return false;
    }
    this.#toClient.push(frame.bytes);
    for (;;) {
      const [first] = this.#awaited;
      if (first?.kind !== 'insert' || first.reply !== this.#repliesSeen) return true;
      this.#awaited.shift();
      this.#toClient.push(first.bytes);
    }
  }
}

/**
 * Ends a socket by RST. Node cannot while the socket's own end is on its way (EINVAL): it would give the socket up without
 * closing it, and `close` would never come. That end comes first then.
 */
function resetSocket(socket: Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished && !socket.destroyed;
  if (isEnding) socket.once('finish', () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

function publishedMessage({ value, type }: RespFrame): PublishedMessage | undefined {
  if (type !== '>' && type !== '*') return undefined;
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [kind, channel, payload] = commandWords(value);
  if (kind !== 'message' && kind !== 'smessage') return undefined;
  return { channel: channel!, payload: payload! };
}
