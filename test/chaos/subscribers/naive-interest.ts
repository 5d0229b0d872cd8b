import { Redis } from 'ioredis';

/**
 * The usual first solution for interest in channels: a count for each, and a command whenever it leaves or returns to
 * zero; the count changes after Redis has answered. The control for reconciliation.
 */
export class NaiveInterest implements Disposable {
  readonly #redis: Redis;
  readonly #counts = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();

  constructor(url: string) {
    const { hostname: host, port } = new URL(url);
    this.#redis = new Redis({ host, port: Number(port) });
    this.#redis.on('error', () => {});
  }

  join(channel: string): void {
    this.#run(async () => {
      if (this.#count(channel) === 0) await this.#redis.subscribe(channel);
      this.#counts.set(channel, this.#count(channel) + 1);
    });
  }

  leave(channel: string): void {
    this.#run(async () => {
      if (this.#count(channel) === 1) await this.#redis.unsubscribe(channel);
      this.#counts.set(channel, this.#count(channel) - 1);
    });
  }

  /** Resolves after all commands so far have been answered. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  [Symbol.dispose](): void {
    this.#redis.disconnect();
  }

  #count(channel: string): number {
    return this.#counts.get(channel) ?? 0;
  }

  #run(act: () => Promise<void>): void {
    const running: Promise<void> = act()
      .catch(() => {})
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}
