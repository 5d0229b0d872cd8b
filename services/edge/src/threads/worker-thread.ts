import { Worker } from 'node:worker_threads';
import type { MetricObjects, Readiness } from '@tradewind/runtime';
import type { Hub, HubFeed } from '../hub/hub.ts';
import type { FanOutDescription } from '../telemetry/debug-index.ts';
import { fanOutThreadName } from '../telemetry/thread-cpu.ts';
import { PortListener } from './hub-port.ts';
import type { AskHub } from './worker-backlog.ts';
import { WORKER_RESOURCE_LIMITS } from './worker-heap.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-messages.ts';

/** How long a worker may take to answer a question, in ms; then the page goes without it. */
const ANSWER_DEADLINE_MS = 1_000;

/** How long a worker may take to end once it was told to, in ms. */
const STOP_DEADLINE_MS = 2_000;

/**
 * How long a worker may show no sign of life before it is replaced, in ms. Its clients lose their
 * connections then, so it is long enough for a stall that passes.
 */
export const WORKER_SILENCE_MS = 30_000;

type Answer = Extract<FromWorker, { kind: 'answer' }>;

/**
 * One generation of a worker thread, as the hub's thread sees it: what it wants goes to the hub,
 * what the hub tells goes to it. When it ends, its interest goes with it.
 */
export class FanOutWorker {
  /** Resolves when it accepts clients; rejects when it ends before. */
  readonly listening: Promise<void>;
  /** Resolves when the thread has ended, with the cause if that was not asked for. */
  readonly ended: Promise<string | undefined>;
  readonly #worker: Worker;
  readonly #listener: PortListener;
  readonly #feed: HubFeed;
  readonly #questions = new Map<number, (answer: Answer | undefined) => void>();
  readonly #listens = Promise.withResolvers<void>();
  readonly #drained = Promise.withResolvers<void>();
  #lastQuestion = 0;
  #stopping = false;
  #failure: string | undefined;
  #lastSeenAt = performance.now();
  #lastMetrics: MetricObjects = [];

  /** @param entry the program that the thread runs: `worker-main`. */
  constructor(entry: URL, start: WorkerStart, hub: Hub) {
    this.#worker = new Worker(entry, {
      workerData: start,
      name: fanOutThreadName(start.slot),
      resourceLimits: WORKER_RESOURCE_LIMITS,
    });
    this.#listener = new PortListener({
      post: (buffers) => {
        this.#post(
          { kind: 'feed', buffers },
          buffers.map(({ buffer }) => buffer),
        );
      },
      ask: start.config.maxHistory > 0 ? this.#askHub : undefined,
    });
    this.#feed = hub.connect(this.#listener);
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

  /** What it last told of its metrics, for when it cannot be asked any more. */
  get lastMetrics(): MetricObjects {
    return this.#lastMetrics;
  }

  /** Ends it if it has shown no sign of life for too long; `ended` then tells. */
  endIfSilent(now: number): void {
    if (this.#stopping || now - this.#lastSeenAt < WORKER_SILENCE_MS) return;
    this.#failure ??= `no sign of life for ${WORKER_SILENCE_MS} ms`;
    void this.#worker.terminate();
  }

  setReadiness(readiness: Readiness): void {
    this.#post({ kind: 'readiness', readiness });
  }

  /** Resolves when all its clients are gone, or their time is over, or it has ended. */
  async drain(windowMs: number, hurry: AbortSignal): Promise<void> {
    const onHurry = (): void => this.#post({ kind: 'hurry' });
    hurry.addEventListener('abort', onHurry, { once: true });
    this.#post({ kind: 'drain', windowMs });
    if (hurry.aborted) onHurry();
    await Promise.race([this.#drained.promise, this.ended]);
    hurry.removeEventListener('abort', onHurry);
  }

  /** Sends so many of its clients away within `windowMs`, and goes on. */
  shed(count: number, windowMs: number): void {
    this.#post({ kind: 'shed', count, windowMs });
  }

  /** Its metrics, or the ones it told last when it does not answer in time. */
  async metrics(): Promise<MetricObjects> {
    const answer = await this.#ask('metrics');
    this.#lastMetrics = answer?.metrics ?? this.#lastMetrics;
    return this.#lastMetrics;
  }

  /** Its index, or undefined when it does not answer in time. */
  async describe(): Promise<FanOutDescription | undefined> {
    return (await this.#ask('index'))?.index;
  }

  /** Ends it: orderly, or after a while by force. */
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
      case 'interest':
        for (const [channel, declaration, historyFrom, others] of message.changes) {
          if (historyFrom !== undefined) {
            this.#listener.asked(channel, historyFrom);
            continue;
          }
          this.#listener.declared(channel, declaration);
          if (declaration === undefined) this.#feed.drop(channel);
          else this.#feed.declare(channel, others);
        }
        this.#listener.consumed(message.consumedBytes);
        break;
      case 'answer':
        this.#questions.get(message.question)?.(message);
        break;
      case 'drained':
        this.#drained.resolve();
        break;
      case 'alive':
        break;
    }
  }

  readonly #askHub: AskHub = {
    readHistory: (channel, from) => this.#feed.readHistory(channel, from),
    fillIn: (channel, from) => this.#feed.fillIn(channel, from),
  };

  #ask(about: 'metrics' | 'index'): Promise<Answer | undefined> {
    const question = ++this.#lastQuestion;
    return new Promise((resolve) => {
      const settle = (answer: Answer | undefined): void => {
        clearTimeout(timer);
        this.#questions.delete(question);
        resolve(answer);
      };
      const timer = setTimeout(() => settle(undefined), ANSWER_DEADLINE_MS);
      this.#questions.set(question, settle);
      this.#post({ kind: 'ask', question, about });
    });
  }

  #end(): void {
    this.#feed.close();
    this.#listener.close();
    for (const settle of [...this.#questions.values()]) settle(undefined);
    this.#listens.reject(new Error(this.#failure ?? 'the worker ended before it listened'));
  }

  #post(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, [...transfer]);
  }
}
