import type { IncomingMessage } from 'node:http';
import type { Reconnect, ServerMessage, Welcome } from '@tradewind/protocol';
import { WebSocket } from 'ws';
import type { SmokeSettings } from './settings.ts';

/** How long an immediate answer may take over a real network, in ms. */
export const PROMPTLY_MS = 10_000;

export interface SmokePublication {
  readonly seq: number;
  /** The text of `data`, byte for byte. */
  readonly data: string;
}

/** A subscriber that keeps everything it receives. */
export class SmokeClient implements AsyncDisposable {
  /** Counts connections, which take the URLs in turn. */
  static #turn = 0;
  /** Where it is connected to. */
  readonly url: URL;
  readonly welcome: Welcome;
  readonly publications: SmokePublication[] = [];
  /** Pings received from the node. */
  pings = 0;
  notice: Reconnect | undefined;
  /** The close code, once it has ended. */
  closedWith: number | undefined;
  readonly #socket: WebSocket;
  readonly #watchers = new Set<() => void>();
  readonly #answers: ServerMessage[] = [];

  private constructor(url: URL, socket: WebSocket, welcome: Welcome) {
    this.url = url;
    this.#socket = socket;
    this.welcome = welcome;
    socket.on('message', (data) => this.#take(String(data)));
    socket.on('ping', () => {
      this.pings += 1;
    });
    socket.on('close', (code) => {
      this.closedWith = code;
      this.#wake();
    });
  }

  /**
   * Resolves after the welcome has been read, and after the node has accepted the token, where there is one and the node asks for
   * it. Rejects with {@link RefusedError} if the answer is not 101.
   *
   * @param headers additional headers of the handshake.
   */
  static async connect(
    settings: SmokeSettings,
    headers: Readonly<Record<string, string>> = {},
    protocols: readonly string[] = [],
  ): Promise<SmokeClient> {
    const client = await SmokeClient.#open(settings, headers, protocols);
    const { clientToken: token } = settings;
    try {
      if (token !== undefined && client.welcome.auth === 'required') await client.#identify(token);
      return client;
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }

  static async #open(
    settings: SmokeSettings,
    headers: Readonly<Record<string, string>>,
    protocols: readonly string[],
  ): Promise<SmokeClient> {
    const { webSocketUrls, certificateAuthority, origin } = settings;
    const url = webSocketUrls[SmokeClient.#turn++ % webSocketUrls.length]!;
    const socket = new WebSocket(url, [...protocols], {
      headers: { ...(origin === undefined ? {} : { origin }), ...headers },
      perMessageDeflate: false,
      handshakeTimeout: PROMPTLY_MS,
      ...(certificateAuthority === undefined ? {} : { ca: certificateAuthority }),
    });
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail(new Error('no welcome came')), PROMPTLY_MS);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        socket.terminate();
        reject(error);
      };
      socket.on('error', fail);
      socket.once('unexpected-response', (_request, response: IncomingMessage) => {
        response.resume();
        fail(new RefusedError(response.statusCode ?? 0));
      });
      socket.once('close', (code) => fail(new Error(`closed with ${code}`)));
      socket.once('message', (data) => {
        const frame = JSON.parse(String(data)) as ServerMessage;
        if (frame.type !== 'welcome') return fail(new Error(`no welcome, but ${data}`));
        clearTimeout(timer);
        resolve(new SmokeClient(url, socket, frame));
      });
    });
  }

  /** Resolves after the node has confirmed the subscription. */
  async subscribe(channel: string): Promise<void> {
    this.#socket.send(JSON.stringify({ type: 'subscribe', id: 1, channels: [channel] }));
    await this.waitFor('the subscription', () => {
      const answer = this.#answers.find(({ type }) => type === 'subscribed' || type === 'error');
      if (answer === undefined) return false;
      if (answer.type === 'subscribed' && answer.channels.length === 1) return true;
      throw new Error(`the subscription was refused: ${JSON.stringify(answer)}`);
    });
  }

  /** Resolves once `holds` returns true; it is called now, after every frame and at the end. */
  waitFor(what: string, holds: () => boolean, deadlineMs = PROMPTLY_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        act();
      };
      const look = (): void => {
        try {
          if (holds()) settle(resolve);
          else if (this.closedWith !== undefined) {
            settle(() => reject(new Error(`${what}: closed with ${this.closedWith}`)));
          }
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const late = new Error(`${what} did not come within ${deadlineMs / 1_000} s`);
      const timer = setTimeout(() => settle(() => reject(late)), deadlineMs);
      this.#watchers.add(look);
      look();
    });
  }

  async #identify(token: string): Promise<void> {
    this.#socket.send(JSON.stringify({ type: 'auth', token }));
    await this.waitFor('the answer to the token', () => {
      const answer = this.#answers.shift();
      if (answer === undefined || answer.type === 'authenticated') return answer !== undefined;
      throw new Error(`the token was refused: ${JSON.stringify(answer)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
  }

  #take(text: string): void {
    const frame = JSON.parse(text) as ServerMessage | { readonly seq: number };
    if ('type' in frame) {
      if (frame.type === 'reconnect') this.notice = frame;
      else this.#answers.push(frame);
    } else {
      const key = '"data":';
      this.publications.push({
        seq: frame.seq,
        data: text.slice(text.indexOf(key) + key.length, -1),
      });
    }
    this.#wake();
  }

  #wake(): void {
    for (const look of [...this.#watchers]) look();
  }
}

/** The handshake was answered with another status than 101. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;

  constructor(status: number) {
    super(`the handshake was answered with ${status}`);
    this.status = status;
  }
}
