import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A backend of a balancer. */
export interface Backend {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface TcpBalancerOptions {
  /** The interval of requests to each backend's `/readyz`, in ms. */
  readonly checkEveryMs: number;
  /** After this many failed checks in a row a backend gets no more connections; one success undoes it. */
  readonly failures: number;
}

/** The settings of Google's balancers in this project. */
const DEFAULTS: TcpBalancerOptions = { checkEveryMs: 5_000, failures: 2 };

/** How long a check may take, in ms. */
const CHECK_TIMEOUT_MS = 2_000;

interface Member {
  readonly backend: Backend;
  readonly sockets: Set<Socket>;
  failed: number;
  isUp: boolean;
  isRemoved: boolean;
}

/**
 * A minimal load balancer: gives each TCP connection to the backend with the fewest, among those whose checks succeed.
 * Open connections stay open if a check fails, as with a real one. A new backend gets connections after its first
 * successful check.
 */
export class TcpBalancer implements AsyncDisposable {
  readonly #options: TcpBalancerOptions;
  readonly #members: Member[] = [];
  readonly #server: Server;
  readonly #end = new AbortController();
  #port = 0;

  private constructor(options: TcpBalancerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  static async start(
    backends: readonly Backend[],
    options: Partial<TcpBalancerOptions> = {},
  ): Promise<TcpBalancer> {
    const balancer = new TcpBalancer({ ...DEFAULTS, ...options });
    await Promise.all(backends.map((backend) => balancer.add(backend)));
    const server = balancer.#server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 65_535, resolve));
    const address = server.address();
    balancer.#port = typeof address === 'object' && address !== null ? address.port : 0;
    return balancer;
  }

  get port(): number {
    return this.#port;
  }

  /** Open connections of each backend, by name. */
  get connections(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      this.#members.map(({ backend, sockets }) => [backend.name, sockets.size]),
    );
  }

  /** Adds a backend, and resolves after its first check. */
  async add(backend: Backend): Promise<void> {
    const sockets = new Set<Socket>();
    const member: Member = { backend, sockets, failed: 0, isUp: false, isRemoved: false };
    this.#members.push(member);
    await this.#check(member);
    void this.#keepChecking(member);
  }

  /** Whether a backend gets connections. */
  isUp(name: string): boolean {
    return this.#members.some(
      ({ backend, isUp, isRemoved }) => backend.name === name && isUp && !isRemoved,
    );
  }

  /** Removes a backend permanently: it gets no more connections, and keeps the open ones. */
  remove(name: string): void {
    for (const member of this.#members) if (member.backend.name === name) member.isRemoved = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    for (const { sockets } of this.#members) {
      for (const socket of sockets) socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    const up = this.#members.filter(({ isUp, isRemoved }) => isUp && !isRemoved);
    const member = up.sort((a, b) => a.sockets.size - b.sockets.size)[0];
    if (member === undefined) {
      client.destroy();
      return;
    }
    const { host, port } = member.backend;
    const server = connect({ host, port, noDelay: true });
    member.sockets.add(client);
    client.once('close', () => {
      member.sockets.delete(client);
      server.destroy();
    });
    server.once('close', () => client.destroy());
    // A broken socket is closed, and closing one side closes the other.
    client.on('error', () => {});
    server.on('error', () => {});
    client.pipe(server);
    server.pipe(client);
  }

  async #keepChecking(member: Member): Promise<void> {
    const { signal } = this.#end;
    const { checkEveryMs } = this.#options;
    while (!signal.aborted && !member.isRemoved) {
      await sleep(checkEveryMs, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted && !member.isRemoved) await this.#check(member);
    }
  }

  async #check(member: Member): Promise<void> {
    const { host, port } = member.backend;
    const isGood = await fetch(`http://${host}:${port}/readyz`, {
      signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
      headers: { connection: 'close' },
    }).then(
      async (response) => {
        await response.body?.cancel();
        return response.ok;
      },
      () => false,
    );
    member.failed = isGood ? 0 : member.failed + 1;
    if (isGood) member.isUp = true;
    else if (member.failed >= this.#options.failures) member.isUp = false;
  }
}
