import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerMessage } from '@tradewind/protocol';
import { WebSocket } from 'ws';

/** The longest pause before a client reconnects after a loss, in ms. */
const RETRY_MS = 500;

/** The highest number of a publication that a client can record. */
const MAX_NUMBER = 20_000;

interface Position {
  readonly epoch: string;
  offset: number;
}

/** The events of all clients together. Times are in ms of the monotonic clock. */
export interface ResumingClientLedger {
  /** When a connection was replaced by a new one. */
  readonly movedAt: number[];
  /** When a client had no connection left. */
  readonly strandedAt: number[];
  /** Answers to `since` with `recovered: true`. */
  recoveries: number;
  /** Publications that were received twice, or out of order. */
  duplicates: number;
  /** `gap` and `resync` frames, and answers to `since` that are not recovered. */
  readonly losses: string[];
}

export function createLedger(): ResumingClientLedger {
  return { movedAt: [], strandedAt: [], recoveries: 0, duplicates: 0, losses: [] };
}

/**
 * A client of one sequenced channel that follows the protocol's advice: at a `reconnect` notice it opens the new
 * connection first, and resumes its channel there with `since`. Payloads are `{"n":1}`, `{"n":2}`, … at those offsets.
 */
export class ResumingClient {
  readonly channel: string;
  /** The channel's offset at the first subscription, which equals the number of the last earlier publication. */
  startsAfter = 0;
  /** How often each number was received, by the number. */
  readonly received = new Uint8Array(MAX_NUMBER);
  /** The highest number so far. */
  last = 0;
  readonly #url: string;
  readonly #ledger: ResumingClientLedger;
  #current: WebSocket | undefined;
  #position: Position | undefined;
  #isMoving = false;
  #stopped = false;

  private constructor(url: string, channel: string, ledger: ResumingClientLedger) {
    this.#url = url;
    this.channel = channel;
    this.#ledger = ledger;
  }

  /** Resolves after it holds its channel. Rejects if it gets no connection. */
  static async start(
    url: string,
    channel: string,
    ledger: ResumingClientLedger,
  ): Promise<ResumingClient> {
    const client = new ResumingClient(url, channel, ledger);
    await client.#connect();
    return client;
  }

  stop(): void {
    this.#stopped = true;
    this.#current?.terminate();
  }

  /** Opens a connection, resumes the channel on it, and closes the previous one. */
  async #connect(): Promise<void> {
    const socket = new WebSocket(this.#url, { perMessageDeflate: false });
    const before = this.#current;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.on('error', reject);
    socket.once('close', (code) => reject(new Error(`closed with ${code}`)));
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as ServerMessage;
      if (!('type' in frame)) this.#take(frame);
      else if (frame.type === 'welcome') this.#subscribe(socket, before);
      else if (frame.type === 'subscribed') {
        const [answer] = frame.channels;
        if (answer === undefined) return reject(new Error(JSON.stringify(frame.rejected)));
        const { epoch, offset, recovered } = answer;
        if (this.#position === undefined) {
          if (epoch === undefined || offset === undefined) {
            return reject(new Error(`${this.channel} has no offsets yet`));
          }
          this.#position = { epoch, offset };
          this.startsAfter = offset;
        } else if (recovered === true) this.#ledger.recoveries += 1;
        else this.#ledger.losses.push(JSON.stringify(answer));
        resolve();
      } else if (frame.type === 'reconnect') {
        setTimeout(() => void this.#move(socket), frame.afterMs);
      } else if (frame.type === 'gap' || frame.type === 'resync') {
        this.#ledger.losses.push(JSON.stringify(frame));
      }
    });
    await promise;
    this.#current = socket;
    socket.once('close', () => void this.#lost(socket));
    if (before !== undefined) this.#ledger.movedAt.push(performance.now());
  }

  #subscribe(socket: WebSocket, before: WebSocket | undefined): void {
    // From now on the old connection does not count, so `since` is exactly the last used offset.
    before?.removeAllListeners('message');
    before?.close(1000);
    const channel = { channel: this.channel, since: this.#position };
    socket.send(JSON.stringify({ type: 'subscribe', id: 1, channels: [channel] }));
  }

  #take(frame: unknown): void {
    const { offset, data } = frame as { offset: number; data: { n: number } };
    const { n } = data;
    const position = this.#position as Position;
    if (n <= this.last || offset <= position.offset) this.#ledger.duplicates += 1;
    this.received[n] = (this.received[n] ?? 0) + 1;
    this.last = Math.max(this.last, n);
    position.offset = offset;
  }

  async #move(from: WebSocket): Promise<void> {
    if (this.#stopped || this.#isMoving || this.#current !== from) return;
    this.#isMoving = true;
    await this.#connect().catch(() => {});
    this.#isMoving = false;
    if (this.#current === from && from.readyState !== WebSocket.OPEN) await this.#lost(from);
  }

  async #lost(socket: WebSocket): Promise<void> {
    if (this.#stopped || this.#current !== socket || this.#isMoving) return;
    this.#isMoving = true;
    this.#ledger.strandedAt.push(performance.now());
    while (!this.#stopped) {
      await sleep(Math.random() * RETRY_MS);
      const isBack = await this.#connect().then(
        () => true,
        () => false,
      );
      if (isBack) break;
    }
    this.#isMoving = false;
  }
}

/** The highest number of `times` within one second. */
export function mostInOneSecond(times: readonly number[]): number {
  const SECOND_MS = 1_000;
  const sorted = [...times].sort((a, b) => a - b);
  let most = 0;
  let from = 0;
  sorted.forEach((time, i) => {
    while (time - (sorted[from] as number) >= SECOND_MS) from += 1;
    most = Math.max(most, i - from + 1);
  });
  return most;
}
