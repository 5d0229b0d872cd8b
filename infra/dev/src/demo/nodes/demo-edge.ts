import { setTimeout as sleep } from 'node:timers/promises';
import type { Metrics } from '../../processes/metrics-text.ts';
import type { ServiceProcess } from '../../processes/service-process.ts';

/** How long a node that ended stays away, in ms: long enough to see that its clients are on the other one. */
const AWAY_MS = 4_000;

/** How long a node may take to accept a request to drain, in ms. */
const DRAIN_ANSWER_MS = 5_000;

/** `down` until it starts again. */
export type EdgeCondition = 'ready' | 'draining' | 'down' | 'starting';

export interface DemoEdgeOptions {
  readonly name: string;
  /** Where clients connect. */
  readonly wsUrl: string;
  /** Starts it and resolves when it is ready; always on the same ports. */
  readonly start: () => Promise<ServiceProcess>;
  /** Is told of each change of its condition, with the reason in words. */
  readonly onChange: (condition: EdgeCondition, why: string) => void;
}

/** One edge of the demo, which starts again whenever it has ended, as under a supervisor. */
export class DemoEdge implements AsyncDisposable {
  readonly name: string;
  readonly wsUrl: string;
  /** Rejects if it ends unasked for the first time, or does not start again; never resolves. */
  readonly failed: Promise<never>;
  readonly #options: DemoEdgeOptions;
  readonly #stop = new AbortController();
  readonly #supervision: Promise<void>;
  #fail: (error: Error) => void = () => {};
  #process: ServiceProcess;
  #condition: EdgeCondition = 'ready';
  /** Why it is about to end; undefined while nobody asked for it. */
  #asked: string | undefined;

  private constructor(options: DemoEdgeOptions, process: ServiceProcess) {
    this.name = options.name;
    this.wsUrl = options.wsUrl;
    this.#options = options;
    this.#process = process;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
    this.#supervision = this.#supervise();
  }

  /** Starts the edge and resolves when it is ready. The caller owns it. */
  static async start(options: DemoEdgeOptions): Promise<DemoEdge> {
    return new DemoEdge(options, await options.start());
  }

  get condition(): EdgeCondition {
    return this.#condition;
  }

  /** Whether it is ready, and nobody has asked it to end: of a kill its condition tells later. */
  get isReady(): boolean {
    return this.#condition === 'ready' && this.#asked === undefined;
  }

  /** Reads its `/metrics`; rejects if it does not answer. */
  metrics(): Promise<Metrics> {
    return this.#process.metrics();
  }

  /** Ends it at once, as a crash would. */
  kill(): void {
    this.#asked = 'killed';
    this.#process.signal('SIGKILL');
  }

  /** Lets it move its clients to other nodes and end. Rejects if it does not accept that. */
  async drain(): Promise<void> {
    this.#asked = 'drained';
    try {
      const answer = await fetch(`${this.#process.adminUrl}/drain`, {
        method: 'POST',
        signal: AbortSignal.timeout(DRAIN_ANSWER_MS),
      });
      if (!answer.ok) throw new Error(`${this.name} answered ${answer.status} to the drain`);
    } catch (error) {
      this.#asked = undefined;
      throw error;
    }
    this.#change('draining', 'drains: its clients move to other nodes');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#process.stop();
    await this.#supervision;
  }

  async #supervise(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const { pid, exited } = this.#process;
      const { code, signal } = await exited;
      if (this.#stop.signal.aborted) return;
      const how = `ended with ${signal ?? `exit code ${code}`}`;
      if (this.#asked === undefined) {
        this.#fail(new Error(`${this.name} (process ${pid}) ${how}`));
      }
      this.#change('down', this.#asked ?? how);
      this.#asked = undefined;
      await sleep(AWAY_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
      if (this.#stop.signal.aborted) return;
      this.#change('starting', 'starts again');
      try {
        this.#process = await this.#options.start();
      } catch (error) {
        this.#fail(error as Error);
        this.#change('down', 'did not start again');
        return;
      }
      if (this.#stop.signal.aborted) await this.#process.stop();
      else this.#change('ready', 'is back');
    }
  }

  #change(condition: EdgeCondition, why: string): void {
    this.#condition = condition;
    this.#options.onChange(condition, why);
  }
}
