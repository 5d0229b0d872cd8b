import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { findFreePort } from '@tradewind/dev';
import { commandWords, type RespFrame, RespFrames } from './resp-frames.ts';
import { type PipeWeather, TcpPipe } from './tcp-pipe.ts';

/** The direction of bytes: to the side that connected, or to the side that was connected to. */
export type Direction = 'to-client' | 'to-server';

/** A connection through the proxy, with the fields that a fault needs. */
export interface ProxiedLink {
  /** From 1, in the order of connecting. */
  readonly number: number;
  /** Its name by CLIENT SETNAME; undefined before, and if frames are not read. */
  readonly name: string | undefined;
}

/** The connections that a fault affects. It is evaluated for every frame, because names arrive late. */
export type LinkFilter = (link: ProxiedLink) => boolean;

/** A fault that lasts until it is lifted. */
export interface Weather {
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
  /** Nothing arrives while sockets stay open; everything arrives after the fault is lifted. */
  readonly blackhole?: boolean;
  /** Both ways by default. */
  readonly direction?: Direction;
}

/** A command on its way to Redis. */
export type CommandFilter = (words: readonly string[]) => boolean;

/** A published message on its way to a subscriber. */
export type MessageFilter = (message: PublishedMessage) => boolean;

export interface PublishedMessage {
  readonly channel: string;
  readonly payload: string;
}

/** A fault that happens a limited number of times. */
export interface Trap extends Disposable {
  /** Resolves after it has happened as often as requested. Rejects if it is lifted earlier. */
  readonly sprung: Promise<void>;
  /** How often it has happened. */
  readonly count: number;
}

export interface TrapOptions {
  /** All links by default. */
  readonly links?: LinkFilter;
  /** The number of the first match that is affected, from 1; default 1. */
  readonly nth?: number;
  /** The number of matches affected in a row, from the n-th; default 1. `Infinity`: until it is lifted. */
  readonly times?: number;
}

export interface TcpFaultProxyOptions {
  readonly host: string;
  readonly port: number;
  /** `redis` reads frames, which faults on commands, messages and replies need; `bytes` does not. */
  readonly speaks: 'bytes' | 'redis';
}

/** Chooses the links with a role of an edge or ingest, of one node or of all. The links name themselves by it. */
export function linksOf(role: 'subscriber' | 'commands', node?: string): LinkFilter {
  const end = node === undefined ? `-${role}` : `-${node}-${role}`;
  return ({ name }) => name?.endsWith(end) === true;
}

const EVERY_LINK: LinkFilter = () => true;
const CLEAR: PipeWeather = { delayMs: 0, bytesPerSecond: undefined, blackhole: false };

/** A trap's effect: what happens to the matching frame. */
type Snare =
  | { readonly kind: 'swallow-message'; readonly matches: MessageFilter }
  | { readonly kind: 'cut-message'; readonly matches: MessageFilter }
  | {
      readonly kind: 'swallow-command';
      readonly matches: CommandFilter;
      readonly answer: Buffer | undefined;
    }
  | { readonly kind: 'drop-reply'; readonly matches: CommandFilter };

/**
 * A TCP proxy in this process that simulates faults of networks. Starts on a free port of 127.0.0.1; owns all its
 * sockets. Overlapping faults add up.
 */
export class TcpFaultProxy implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly speaks: 'bytes' | 'redis';
  readonly #links = new Set<Link>();
  readonly #weathers = new Set<Weather & { readonly links: LinkFilter }>();
  readonly #traps = new Set<ArmedTrap>();
  readonly #listeners = new Set<(words: readonly string[], link: ProxiedLink) => void>();
  readonly #server = createServer({ allowHalfOpen: true });
  #target: { readonly host: string; readonly port: number };
  #refusing = false;
  #accepted = 0;

  private constructor(port: number, options: TcpFaultProxyOptions) {
    this.port = port;
    this.speaks = options.speaks;
    this.#target = { host: options.host, port: options.port };
    this.#server.on('connection', (socket: Socket) => this.#accept(socket));
  }

  static async start(options: TcpFaultProxyOptions): Promise<TcpFaultProxy> {
    const port = await findFreePort();
    const proxy = new TcpFaultProxy(port, options);
    proxy.#server.listen(port, proxy.host);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** Its URL as a Redis. */
  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  /** The connections that are open. */
  get links(): readonly ProxiedLink[] {
    return [...this.#links];
  }

  /** Connects new connections to this target; open ones keep theirs. */
  retarget(target: { readonly host: string; readonly port: number }): void {
    this.#target = { host: target.host, port: target.port };
  }

  /** While true, new connections are reset at once. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Applies a fault to links, including future ones, until it is lifted. */
  impose(weather: Weather, links: LinkFilter = EVERY_LINK): Disposable {
    const imposed = { ...weather, links };
    this.#weathers.add(imposed);
    this.#flow();
    return {
      [Symbol.dispose]: () => {
        this.#weathers.delete(imposed);
        this.#flow();
      },
    };
  }

  /** Ends connections from both sides, in order (FIN). Returns their number. */
  cut(links: LinkFilter = EVERY_LINK): number {
    return this.#each(links, (link) => link.cut());
  }

  /** Ends connections from both sides by RST. Returns their number. */
  reset(links: LinkFilter = EVERY_LINK): number {
    return this.#each(links, (link) => link.reset());
  }

  /** Drops published messages to subscribers; everything else passes. */
  swallowMessage(matches: MessageFilter, options: TrapOptions = {}): Trap {
    return this.#arm({ kind: 'swallow-message', matches }, options);
  }

  /** Lets half of a published message pass, then ends its connection. */
  cutMidMessage(matches: MessageFilter, options: TrapOptions = {}): Trap {
    return this.#arm({ kind: 'cut-message', matches }, options);
  }

  /**
   * Drops a command to Redis. With `answer` (RESP) its sender gets that answer at the reply's turn, and continues.
   * Without it nothing that is sent later on this connection arrives either, as after a packet that is lost
   * permanently.
   */
  swallowCommand(
    matches: CommandFilter,
    options: TrapOptions & { readonly answer?: string } = {},
  ): Trap {
    const answer = options.answer === undefined ? undefined : Buffer.from(options.answer);
    return this.#arm({ kind: 'swallow-command', matches, answer }, options);
  }

  /**
   * Lets a command pass, drops its reply and ends the connection: the command was executed, and its sender does not
   * know.
   */
  dropReplyThenCut(matches: CommandFilter, options: TrapOptions = {}): Trap {
    return this.#arm({ kind: 'drop-reply', matches }, options);
  }

  /** Reports every command that reaches the proxy, swallowed ones included. */
  watchCommands(listener: (words: readonly string[], link: ProxiedLink) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const trap of this.#traps) trap[Symbol.dispose]();
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const link of [...this.#links]) link.destroy();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    this.#accepted += 1;
    const server = connect({ ...this.#target, allowHalfOpen: true });
    const link: Link = new Link(this.#accepted, client, server, this.speaks === 'redis', {
      weather: (direction) => this.#weatherOn(link, direction),
      command: (words) => {
        for (const listener of this.#listeners) listener(words, link);
      },
      snareOf: (kinds, matches) => this.#spring(link, kinds, matches),
      ended: () => this.#links.delete(link),
    });
    this.#links.add(link);
  }

  #weatherOn(link: ProxiedLink, direction: Direction): PipeWeather {
    let sum = CLEAR;
    for (const weather of this.#weathers) {
      if (weather.direction !== undefined && weather.direction !== direction) continue;
      if (!weather.links(link)) continue;
      const speeds = [sum.bytesPerSecond, weather.bytesPerSecond].filter(
        (each) => each !== undefined,
      );
      sum = {
        delayMs: sum.delayMs + (weather.delayMs ?? 0),
        bytesPerSecond: speeds.length === 0 ? undefined : Math.min(...speeds),
        blackhole: sum.blackhole || weather.blackhole === true,
      };
    }
    return sum;
  }

  #flow(): void {
    for (const link of this.#links) link.flow();
  }

  #each(links: LinkFilter, act: (link: Link) => void): number {
    const chosen = [...this.#links].filter(links);
    for (const link of chosen) act(link);
    return chosen.length;
  }

  #arm(snare: Snare, options: TrapOptions): Trap {
    const trap = new ArmedTrap(snare, options, () => this.#traps.delete(trap));
    this.#traps.add(trap);
    return trap;
  }

  #spring(
    link: ProxiedLink,
    kinds: readonly Snare['kind'][],
    matches: (snare: Snare) => boolean,
  ): Snare | undefined {
    for (const trap of this.#traps) {
      if (!kinds.includes(trap.snare.kind) || !trap.links(link) || !matches(trap.snare)) continue;
      if (trap.step()) return trap.snare;
    }
    return undefined;
  }
}

class ArmedTrap implements Trap {
  readonly snare: Snare;
  readonly links: LinkFilter;
  readonly sprung: Promise<void>;
  count = 0;
  readonly #nth: number;
  readonly #times: number;
  readonly #settle: { resolve(): void; reject(error: Error): void };
  readonly #remove: () => void;
  #seen = 0;

  constructor(snare: Snare, options: TrapOptions, remove: () => void) {
    this.snare = snare;
    this.links = options.links ?? EVERY_LINK;
    this.#nth = options.nth ?? 1;
    this.#times = options.times ?? 1;
    this.#remove = remove;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Not every test waits for it.
    promise.catch(() => {});
    this.sprung = promise;
    this.#settle = { resolve, reject };
  }

  /** Counts one match; returns whether it must be affected. */
  step(): boolean {
    this.#seen += 1;
    if (this.#seen < this.#nth) return false;
    this.count += 1;
    if (this.count === this.#times) {
      this.#remove();
      this.#settle.resolve();
    }
    return true;
  }

  [Symbol.dispose](): void {
    this.#remove();
    this.#settle.reject(new Error(`the fault happened ${this.count} times only`));
  }
}

interface LinkOwner {
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
class Link implements ProxiedLink {
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
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
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

function publishedMessage({ value, type }: RespFrame): PublishedMessage | undefined {
  if (type !== '>' && type !== '*') return undefined;
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [kind, channel, payload] = commandWords(value);
  if (kind !== 'message' && kind !== 'smessage') return undefined;
  return { channel: channel!, payload: payload! };
}
