import type { CommonSettings } from './settings.ts';

/** What is used of an edge's frames (docs/protocol.md). */
interface Frame {
  readonly type?: string;
  readonly channel?: string;
  readonly offset?: number;
  readonly node?: string;
  readonly protocol?: string;
  readonly auth?: string;
  readonly serverTime?: number;
  readonly code?: string;
  readonly message?: string;
  readonly channels?: readonly { readonly channel: string }[];
  readonly rejected?: readonly { readonly channel: string; readonly code: string }[];
}

export interface EdgeWelcome {
  readonly node: string;
  readonly protocol: string;
  readonly auth: string;
  readonly serverTime: number;
}

/** Frames that are kept until somebody asks for them; a busy channel must not fill the memory. */
const MAX_KEPT = 1_000;

/** One connection to an edge. Its owner disposes of it. */
export class EdgeSession implements AsyncDisposable {
  readonly welcome: EdgeWelcome;
  readonly #socket: WebSocket;
  readonly #frames: Frames;

  private constructor(socket: WebSocket, frames: Frames, welcome: EdgeWelcome) {
    this.#socket = socket;
    this.#frames = frames;
    this.welcome = welcome;
  }

  /** Connects, and shows the token if the edge wants one. Rejects with a sentence. @param deadlineMs for each answer. */
  static async open({ edgeUrl, token }: CommonSettings, deadlineMs: number): Promise<EdgeSession> {
    const socket = new WebSocket(edgeUrl, 'tradewind.v1.json');
    const frames = new Frames(socket, deadlineMs);
    try {
      const welcome = (await frames.next('welcome', ({ type }) => type === 'welcome')).frame;
      if (welcome.auth === 'required') {
        if (token === undefined) throw new Error('the edge wants a token: name a --token-file');
        socket.send(JSON.stringify({ type: 'auth', id: 'auth', token }));
        await frames.next('authenticated', ({ type }) => type === 'authenticated');
      }
      return new EdgeSession(socket, frames, welcome as EdgeWelcome);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  async subscribe(channel: string): Promise<void> {
    this.#socket.send(JSON.stringify({ type: 'subscribe', id: 'subscribe', channels: [channel] }));
    const { frame } = await this.#frames.next('answer', ({ type }) => type === 'subscribed');
    const refusal = frame.rejected?.find((each) => each.channel === channel);
    if (refusal !== undefined) throw new Error(`the edge refuses ${channel}: ${refusal.code}`);
  }

  /** When the publication arrived, by `performance.now()`. */
  async publication(channel: string, offset: number): Promise<number> {
    const isIt = (frame: Frame): boolean =>
      frame.type === undefined && frame.channel === channel && frame.offset === offset;
    return (await this.#frames.next('publication', isIt)).at;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
  }
}

interface Arrived {
  readonly frame: Frame;
  /** By `performance.now()`. */
  readonly at: number;
}

/** Waits for frames of a socket. */
class Frames {
  readonly #deadlineMs: number;
  readonly #kept: Arrived[] = [];
  #waiting: (() => void) | undefined;
  #end: Error | undefined;

  constructor(socket: WebSocket, deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
    socket.addEventListener('message', ({ data }) => {
      const frame = JSON.parse(String(data)) as Frame;
      if (frame.type === 'error')
        this.#end = new Error(`the edge answers ${frame.code}: ${frame.message}`);
      this.#kept.push({ frame, at: performance.now() });
      if (this.#kept.length > MAX_KEPT) this.#kept.shift();
      this.#waiting?.();
    });
    socket.addEventListener('close', ({ code, reason }) => {
      const how =
        code === 1006 ? 'could not be made, or was lost' : `was closed with ${code} ${reason}`;
      this.#end ??= new Error(`the connection to ${new URL(socket.url).host} ${how}`);
      this.#waiting?.();
    });
    socket.addEventListener('error', () => {});
  }

  /** The first frame of this kind, which is then forgotten with those before it. */
  async next(what: string, matches: (frame: Frame) => boolean): Promise<Arrived> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#waiting?.();
    }, this.#deadlineMs);
    try {
      for (;;) {
        const index = this.#kept.findIndex(({ frame }) => matches(frame));
        if (index !== -1) return this.#kept.splice(0, index + 1).at(-1)!;
        if (this.#end !== undefined) throw this.#end;
        if (isLate) throw new Error(`no ${what} within ${this.#deadlineMs} ms`);
        await new Promise<void>((resolve) => {
          this.#waiting = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
