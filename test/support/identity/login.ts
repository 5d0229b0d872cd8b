import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hs256, makeToken } from './tokens.ts';

/** How far a node lets clocks differ, in seconds: it takes a token for so long after its `exp`. */
const TOLERANCE_SECONDS = 10;

/**
 * A login over HTTP on loopback: `GET /token` answers with a token for one subject, or with 503. It serves pages too, whose
 * scripts may `POST /lines`.
 */
export class Login implements AsyncDisposable {
  /** How long the tokens that it gives last, in seconds; undefined while it gives none. */
  lifeSeconds: number | undefined;
  /** What a page posted last. */
  lines: readonly string[] = [];
  readonly #server: Server;
  readonly #key: string;
  readonly #subject: string;
  readonly #files: Readonly<Record<string, string>>;

  private constructor(key: string, subject: string, files: Readonly<Record<string, string>>) {
    this.#key = key;
    this.#subject = subject;
    this.#files = files;
    this.#server = createServer(async (request, response) => {
      if (request.url === '/lines') {
        this.lines = (await bodyOf(request)).split('\n');
        response.writeHead(204).end();
      } else if (request.url === '/token') {
        const token = this.token();
        response.writeHead(token === undefined ? 503 : 200).end(token);
      } else {
        const file = this.#files[request.url ?? ''];
        const type = request.url?.endsWith('.js') ? 'text/javascript' : 'text/html';
        response.writeHead(file === undefined ? 404 : 200, { 'content-type': type }).end(file);
      }
    });
  }

  /** @param files texts by their paths. */
  static async start(
    key: string,
    subject: string,
    files: Readonly<Record<string, string>> = {},
  ): Promise<Login> {
    const login = new Login(key, subject, files);
    await new Promise<void>((resolve) => login.#server.listen(0, '127.0.0.1', resolve));
    return login;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  token(): string | undefined {
    if (this.lifeSeconds === undefined) return undefined;
    const exp = Date.now() / 1_000 + this.lifeSeconds - TOLERANCE_SECONDS;
    const tw = { channels: ['BTC.*'], history: ['BTC.*'] };
    return makeToken(
      { alg: 'HS256', typ: 'JWT' },
      { sub: this.#subject, exp, tw },
      hs256(this.#key),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}
