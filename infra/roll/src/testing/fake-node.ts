import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FleetNode } from '../reach.ts';

/** A node's admin port under the control of a test. */
export class FakeNode implements AsyncDisposable, FleetNode {
  readonly name: string;
  adminUrl = '';
  connections = 0;
  reasons: string[] = [];
  /** The requests that it received, in order. */
  readonly asked: string[] = [];
  /** How long its drain takes, in ms. */
  drainMs = 20;
  /** Whether it restarts as soon as it has ended. */
  restartsByItself = false;
  /** Whether it does not report its clients. */
  isWithoutIndex = false;
  /** Called when it is asked to shed. */
  onShed: (count: number) => void = () => {};
  /** The bearer token that it accepts; undefined: none is required. */
  token: string | undefined;
  #server: Server | undefined;
  #port = 0;

  private constructor(name: string, token: string | undefined) {
    this.name = name;
    this.token = token;
  }

  static async start(name: string, token?: string): Promise<FakeNode> {
    const node = new FakeNode(name, token);
    await node.start();
    return node;
  }

  get port(): number {
    return this.#port;
  }

  get isRunning(): boolean {
    return this.#server !== undefined;
  }

  /** Serves again, ready and without clients, at the same address as before. */
  async start(): Promise<void> {
    this.reasons = [];
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://node');
      const isOpen = url.pathname === '/readyz';
      if (!isOpen && this.token !== undefined) {
        if (request.headers.authorization !== `Bearer ${this.token}`) {
          response.writeHead(401).end();
          return;
        }
      }
      const answer = this.#answer(request.method ?? '', url);
      response.writeHead(answer.status, { connection: 'close' }).end(JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    this.adminUrl = `http://127.0.0.1:${this.#port}`;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.restartsByItself = false;
    await this.stop();
  }

  #answer(method: string, url: URL): { readonly status: number; readonly body: unknown } {
    switch (`${method} ${url.pathname}`) {
      case 'GET /readyz':
        return { status: this.reasons.length === 0 ? 200 : 503, body: { reasons: this.reasons } };
      case 'GET /metrics':
        return { status: 200, body: {} };
      case 'GET /debug/index':
        if (this.isWithoutIndex) return { status: 404, body: {} };
        return { status: 200, body: { connections: this.connections } };
      case 'POST /drain':
        this.asked.push('drain');
        this.reasons = ['draining'];
        setTimeout(() => void this.#end(), this.drainMs);
        return { status: 202, body: {} };
      case 'POST /shed': {
        const count = Number(url.searchParams.get('count'));
        this.asked.push(`shed ${count} over ${url.searchParams.get('overSeconds')}`);
        this.onShed(count);
        return { status: 202, body: {} };
      }
      default:
        return { status: 404, body: {} };
    }
  }

  async #end(): Promise<void> {
    await this.stop();
    if (this.restartsByItself) await this.start();
  }
}
