import { Worker } from 'node:worker_threads';
import type { MetricObjects, Readiness, TlsCredentials } from '@tradewind/runtime';
import type { IdentityUpdate } from '../auth/identity-update.ts';
import type { Hub } from '../hub/hub.ts';
import type { ClientReading } from '../telemetry/client-reading.ts';
import type { FanOutDescription } from '../telemetry/debug-index.ts';
import type { SessionList } from '../telemetry/session-list.ts';
import { fanOutThreadName } from '../telemetry/thread-cpu.ts';
import type { ClientEnquiry, ClientEnquiryAnswer } from '../telemetry/watched-clients.ts';
import { HubPort } from './hub-port.ts';
import { WORKER_RESOURCE_LIMITS } from './worker-heap.ts';
import type { Enquiry, FromWorker, ToWorker, WorkerStart } from './worker-messages.ts';

/** The time in which a worker must answer a request, in ms. Afterwards the request is answered without the worker. */
const ANSWER_DEADLINE_MS = 1_000;

/** The time in which a worker must end once it was told to stop, in ms. */
const STOP_DEADLINE_MS = 2_000;

/**
 * The time without a sign of life after which a worker is replaced, in ms. Its clients lose their connections then, so it
 * is longer than stalls that end by themselves.
 */
const WORKER_SILENCE_MS = 30_000;

type Answer = Extract<FromWorker, { kind: 'answer' }>;

/**
 * One worker thread, as the hub's thread sees it. It passes the worker's calls to the hub, and the hub's feed to the worker. When
 * the thread ends, the worker is detached from the hub.
 */
export class WorkerThread {
  /** Resolves when the worker accepts clients. Rejects when it ends before that. */
  readonly listening: Promise<void>;
  /** Resolves when the thread has ended: with the cause, or with undefined when `stop` was called. */
  readonly ended: Promise<string | undefined>;
  readonly #worker: Worker;
  readonly #hubPort: HubPort;
  readonly #onUnknownKey: () => void;
  readonly #pendingRequests = new Map<number, (answer: Answer | undefined) => void>();
  readonly #listens = Promise.withResolvers<void>();
  readonly #drained = Promise.withResolvers<void>();
  #lastRequest = 0;
  #stopping = false;
  #failure: string | undefined;
  #lastSeenAt = performance.now();
  #lastMetrics: MetricObjects = [];
  #lastReading: ClientReading | undefined;

  /**
   * @param entry the program that the thread runs: `worker-main`.
   * @param onUnknownKey called for tokens whose key the worker does not know.
   */
  constructor(entry: URL, start: WorkerStart, hub: Hub, onUnknownKey: () => void) {
    this.#onUnknownKey = onUnknownKey;
    this.#worker = new Worker(entry, {
      workerData: start,
      name: fanOutThreadName(start.slot),
      resourceLimits: WORKER_RESOURCE_LIMITS,
    });
    this.#hubPort = new HubPort({
      post: (buffers) => {
        this.#post(
          { kind: 'feed', buffers },
          buffers.map(({ buffer }) => buffer),
        );
      },
      connect: (listener) => hub.connect(listener),
      hasHistory: start.config.maxHistory > 0,
    });
    this.listening = this.#listens.promise;
    this.listening.catch(() => undefined);
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#end();
        resolve(this.#stopping ? undefined : (this.#failure ?? `ended with exit code ${code}`));
      });
    });
    this.#worker.on('message', (message: FromWorker) => this.#handle(message));
    this.#worker.on('error', (error) => {
      this.#failure ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
  }

  /** Its last known metrics, for the time when it cannot answer any more. */
  get lastMetrics(): MetricObjects {
    return this.#lastMetrics;
  }

  /** The last figures of its clients, at most a second old while it is alive. */
  get lastReading(): ClientReading | undefined {
    return this.#lastReading;
  }

  /** Returns the last figures of its clients, and forgets them, because a worker that has ended has no clients. */
  takeReading(): ClientReading | undefined {
    const reading = this.#lastReading;
    this.#lastReading = undefined;
    return reading;
  }

  /** Terminates a worker that has shown no sign of life for {@link WORKER_SILENCE_MS}. `ended` resolves then. */
  endIfSilent(now: number): void {
    if (this.#stopping || now - this.#lastSeenAt < WORKER_SILENCE_MS) return;
    this.#failure ??= `no sign of life for ${WORKER_SILENCE_MS} ms`;
    void this.#worker.terminate();
  }

  setReadiness(readiness: Readiness): void {
    this.#post({ kind: 'readiness', readiness });
  }

  updateIdentity(update: IdentityUpdate): void {
    this.#post({ kind: 'identity', update });
  }

  setTls(credentials: TlsCredentials): void {
    this.#post({ kind: 'tls', credentials });
  }

  /** Resolves when all its clients are gone, when their time is over, or when the thread has ended. */
  async drain(windowMs: number, hurry: AbortSignal): Promise<void> {
    const onHurry = (): void => this.#post({ kind: 'hurry' });
    hurry.addEventListener('abort', onHurry, { once: true });
    this.#post({ kind: 'drain', windowMs });
    if (hurry.aborted) onHurry();
    await Promise.race([this.#drained.promise, this.ended]);
    hurry.removeEventListener('abort', onHurry);
  }

  /** Sends `count` of its clients away within `windowMs`, and continues to accept. */
  shed(count: number, windowMs: number): void {
    this.#post({ kind: 'shed', count, windowMs });
  }

  /** Its metrics, or the last known ones when it does not answer in time. */
  async metrics(): Promise<MetricObjects> {
    const answer = await this.#request('metrics');
    this.#lastMetrics = answer?.metrics ?? this.#lastMetrics;
    return this.#lastMetrics;
  }

  /** Its index. Undefined when it does not answer in time. */
  async describe(): Promise<FanOutDescription | undefined> {
    return (await this.#request('index'))?.index;
  }

  /** The sessions of a subject. Undefined when it does not answer in time. */
  async sessionsOf(subject: string): Promise<SessionList | undefined> {
    return (await this.#request({ sessionsOf: subject }))?.sessions;
  }

  /** Its answer for pages of a console. Undefined when it does not answer in time. */
  async askClients(enquiry: ClientEnquiry): Promise<ClientEnquiryAnswer | undefined> {
    return (await this.#request({ forPages: enquiry }))?.forPages;
  }

  /** Stops the thread. Terminates it after {@link STOP_DEADLINE_MS}. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#post({ kind: 'stop' });
    const timer = setTimeout(() => void this.#worker.terminate(), STOP_DEADLINE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  #handle(message: FromWorker): void {
    this.#lastSeenAt = performance.now();
    switch (message.kind) {
      case 'listening':
        this.#listens.resolve();
        break;
      case 'feed-calls':
        for (const call of message.calls) this.#hubPort.handle(call);
        this.#hubPort.confirmBytes(message.consumedBytes);
        break;
      case 'answer':
        this.#pendingRequests.get(message.request)?.(message);
        break;
      case 'drained':
        this.#drained.resolve();
        break;
      case 'unknown-key':
        this.#onUnknownKey();
        break;
      case 'alive':
        this.#lastReading = message.reading;
        break;
    }
  }

  #request(about: Enquiry): Promise<Answer | undefined> {
    const request = ++this.#lastRequest;
    return new Promise((resolve) => {
      const finish = (answer: Answer | undefined): void => {
        clearTimeout(timer);
        this.#pendingRequests.delete(request);
        resolve(answer);
      };
      const timer = setTimeout(() => finish(undefined), ANSWER_DEADLINE_MS);
      this.#pendingRequests.set(request, finish);
      this.#post({ kind: 'request', request, about });
    });
  }

  #end(): void {
    this.#hubPort.close();
    for (const finish of [...this.#pendingRequests.values()]) finish(undefined);
    this.#listens.reject(new Error(this.#failure ?? 'the worker ended before it listened'));
  }

  #post(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, [...transfer]);
  }
}
