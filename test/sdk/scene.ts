import type {
  Channel,
  Client,
  ClientOptions,
  ClientState,
  Latest,
  UrlSource,
} from '@tradewind/client';
import type { Driver, Fault } from './driver.ts';
import { Follower } from './follower.ts';
import { LatestFollower } from './latest-follower.ts';
import { type SocketSpy, spyOnSockets } from './spy-socket.ts';

/** The SDK as its users import it, and the runtime's own WebSocket. */
export interface Sdk {
  connect(url: UrlSource, options?: ClientOptions): Client;
  readonly WebSocket: unknown;
  /** Whether its publications come as binary frames. */
  readonly isBinary?: boolean;
}

const DEFAULT_WITHIN_MS = 30_000;

/** One run of one scenario: everything in it works in every runtime. */
export class Scene {
  readonly driver: Driver;
  readonly spy: SocketSpy;
  readonly random: () => number;
  readonly followers: Follower[] = [];
  readonly #sdk: Sdk;
  readonly #clients: Client[] = [];
  readonly #prefix: string;
  #edge = 0;

  /** How long something may take that happens at once on an idle machine, ms. */
  readonly withinMs: number;

  constructor(
    sdk: Sdk,
    driver: Driver,
    name: string,
    random: () => number,
    withinMs = DEFAULT_WITHIN_MS,
  ) {
    this.withinMs = withinMs;
    this.#sdk = sdk;
    this.driver = driver;
    this.random = random;
    this.spy = spyOnSockets(sdk.WebSocket as never);
    this.#prefix = `BTC.${name}`;
  }

  /** A channel of this scenario alone. */
  name(channel: string | number = 'a'): string {
    return `${this.#prefix}.${channel}`;
  }

  /** A client with short waits. Each connection goes to the next edge. */
  client(options: ClientOptions = {}, url: UrlSource = () => this.nextUrl()): Client {
    const client = this.#sdk.connect(url, {
      backoff: { firstMs: 40, maxMs: 400, stableMs: 400 },
      connectTimeoutMs: 5_000,
      requestTimeoutMs: 5_000,
      probeTimeoutMs: 500,
      lingerMs: 50,
      idleMs: 300,
      webSocket: this.spy.WebSocket,
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  /** A client with the waits that an application has. */
  patientClient(url: UrlSource = () => this.nextUrl()): Client {
    const client = this.#sdk.connect(url, { webSocket: this.spy.WebSocket });
    this.#clients.push(client);
    return client;
  }

  /** The edge that the last connection went to. */
  get edge(): number {
    return this.#edge;
  }

  nextUrl(): string {
    const { urls } = this.driver;
    this.#edge = (this.#edge + 1) % urls.length;
    return urls[this.#edge]!;
  }

  /** Does something to both edges. */
  async both(fault: Fault): Promise<void> {
    for (const edge of this.driver.urls.keys()) await this.driver.fault(edge, fault);
  }

  follow(
    client: Client,
    channel: string | number = 'a',
    ...rest: [options?: object, delayMs?: () => number, keep?: number]
  ): Follower {
    const follower = new Follower(
      client.channel(this.name(channel)) as Channel<{ readonly n: number }>,
      ...rest,
    );
    this.followers.push(follower);
    return follower;
  }

  /** Follows a channel whose consumers want the latest. Without `everyMs` it wants all, and accepts what others left out. */
  followLatest(
    client: Client,
    channel: string | number,
    everyMs?: Latest['everyMs'],
  ): LatestFollower {
    const follower = new LatestFollower(
      client.channel<{ readonly n: number }>(
        this.name(channel),
        everyMs === undefined ? {} : { latest: { everyMs } },
      ),
    );
    this.followers.push(follower);
    return follower;
  }

  /** Does something to both edges that brings a client into a state, however briefly: a driver may answer after it has left it. */
  async bring(client: Client, name: ClientState['name'], fault: Fault): Promise<void> {
    await Promise.all([this.until(client, name), this.both(fault)]);
  }

  /** Resolves when `check` holds, for which there is no event. Rejects with `what` after {@link withinMs}. */
  async soon(what: string, check: () => boolean): Promise<void> {
    const start = Date.now();
    while (!check()) {
      holds(what, Date.now() - start < this.withinMs);
      await pause(10);
    }
  }

  /** Resolves when a client is in a state. */
  async until(
    client: Client,
    name: ClientState['name'],
    withinMs = this.withinMs,
  ): Promise<ClientState> {
    if (client.state.name === name) return client.state;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        listening[Symbol.dispose]();
        reject(new Error(`not ${name} within ${withinMs} ms, but ${JSON.stringify(client.state)}`));
      }, withinMs);
      const listening = client.on('state', ({ state }) => {
        if (state.name !== name) return;
        clearTimeout(timer);
        listening[Symbol.dispose]();
        resolve(state);
      });
    });
  }

  async live(client: Client, channel: string | number = 'a'): Promise<void> {
    const { state } = client.channel(this.name(channel));
    if (state.name === 'live') return;
    const { withinMs } = this;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(
            new Error(`${channel} is ${JSON.stringify(client.channel(this.name(channel)).state)}`),
          ),
        withinMs,
      );
      const listening = client.on('channel', (change) => {
        if (change.channel !== this.name(channel) || change.state.name !== 'live') return;
        clearTimeout(timer);
        listening[Symbol.dispose]();
        resolve();
      });
    });
  }

  /** Resolves when one socket is left, from the network as well. */
  async settlesOnOneSocket(): Promise<void> {
    const start = Date.now();
    for (;;) {
      const counts = [this.spy.open(), await this.driver.connections()];
      if (counts.every((count) => count === 1)) return;
      holds(`sockets: ${counts}`, Date.now() - start < this.withinMs);
      await pause(50);
    }
  }

  /** Publishes, and waits until all followers of the channel have it. */
  async deliver(
    channel: string | number,
    count: number,
    followers = this.followers,
  ): Promise<void> {
    const end = await this.driver.publish(this.name(channel), count);
    for (const follower of followers)
      if (!follower.isOver) await follower.reaches(end, this.withinMs);
  }

  /** Ends everything, and returns what was wrong: breaches of the promise and of the protocol, and sockets that are left. */
  async end(): Promise<readonly string[]> {
    await Promise.all(this.#clients.map((client) => client.close()));
    const faults = [...this.followers.flatMap(({ faults }) => faults), ...this.spy.breaches()];
    if (this.spy.open() > 0) faults.push(`${this.spy.open()} sockets are left`);
    const isRead = this.followers.some((follower) => follower.count('publication') > 0);
    if (isRead && this.spy.binaryFrames > 0 !== (this.#sdk.isBinary === true))
      faults.push(`${this.spy.binaryFrames} binary frames came`);
    return faults;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Throws if two values differ. */
export function same(what: string, actual: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${what}: ${is} instead of ${should}`);
}

export function holds(what: string, condition: boolean): void {
  if (!condition) throw new Error(what);
}

/** Rejects with what `call` rejects with; throws if it does not. */
export async function rejection(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}
