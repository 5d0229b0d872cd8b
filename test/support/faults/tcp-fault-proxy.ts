import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { findFreePort } from '@tradewind/dev';
import { Link } from './proxied-link.ts';
import {
  ArmedTrap,
  type CommandFilter,
  type Direction,
  EVERY_LINK,
  type LinkFilter,
  type MessageFilter,
  type ProxiedLink,
  type Snare,
  type Trap,
  type TrapOptions,
  type Weather,
} from './proxy-faults.ts';
import type { PipeWeather } from './tcp-pipe.ts';

export { type CommandFilter, linksOf, type Trap } from './proxy-faults.ts';

export interface TcpFaultProxyOptions {
  readonly host: string;
  readonly port: number;
  /** `redis` reads frames, which faults on commands, messages and replies need; `bytes` does not. */
  readonly speaks: 'bytes' | 'redis';
}

const CLEAR: PipeWeather = { delayMs: 0, bytesPerSecond: undefined, blackhole: false };

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
