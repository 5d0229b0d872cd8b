import { Worker } from 'node:worker_threads';

/** Handshakes that one address sends, as fast as it is told, without regard to the answers. */
export interface FloodSettings {
  readonly port: number;
  /** The address of this machine that they come from. */
  readonly localAddress: string;
  readonly perSecond: number;
}

/** What became of the handshakes so far. Those that are admitted are kept open. */
export interface FloodOutcome {
  readonly sent: number;
  readonly admitted: number;
  readonly refused: number;
  /** Connections that were ended without an answer. */
  readonly reset: number;
}

/** A flood in a thread of its own, so that it takes no time from those who measure. It ends with `await using`. */
export class HandshakeFlood implements AsyncDisposable {
  readonly #worker: Worker;

  constructor(settings: FloodSettings) {
    this.#worker = new Worker(new URL('./handshake-flood-thread.ts', import.meta.url), {
      workerData: settings,
    });
  }

  async outcome(): Promise<FloodOutcome> {
    const { promise, resolve, reject } = Promise.withResolvers<FloodOutcome>();
    this.#worker.once('message', resolve);
    this.#worker.once('error', reject);
    this.#worker.postMessage('outcome');
    const outcome = await promise;
    this.#worker.off('error', reject);
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
