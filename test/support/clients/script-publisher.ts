import { readFileSync } from 'node:fs';
import type { Position } from '@tradewind/protocol';
import { Cluster, type Redis } from 'ioredis';
import type { Published } from './delivery-record.ts';

const SCRIPT = readFileSync(
  new URL('../../../docs/publish/tradewind_publish_1.lua', import.meta.url),
  'utf8',
);

const HISTORY_TTL_MS = 600_000;

/** Publishes by the published script, and knows the position of every publication. */
export class ScriptPublisher implements Published {
  readonly #redis: Redis;
  readonly #historySize: number;
  readonly #positions = new Map<string, Position[]>();

  /** @param historySize publications that Redis keeps of each channel. */
  constructor(redis: Redis, historySize: number) {
    this.#redis = redis;
    this.#historySize = historySize;
  }

  /** @param payload the next number, as {@link DeliveryRecord} expects it, by default; `pad` makes that longer. */
  async publish(channel: string, payload?: Buffer, pad = ''): Promise<void> {
    const positions = this.#positions.get(channel) ?? [];
    this.#positions.set(channel, positions);
    const bytes = payload ?? Buffer.from(JSON.stringify({ n: positions.length + 1, pad }));
    const [epoch, offset] = (await this.#redis.eval(
      ...([SCRIPT, 2, `{${channel}}:meta`, `{${channel}}:log`] as const),
      ...([channel, bytes, this.#historySize, HISTORY_TTL_MS, '', 0, 0] as const),
      ...(this.#redis instanceof Cluster ? ['sharded'] : []),
    )) as [string, number];
    positions.push({ epoch, offset });
  }

  positionOf(channel: string, n: number): Position | undefined {
    return this.#positions.get(channel)?.[n - 1];
  }

  endOf(channel: string): Position | undefined {
    return this.#positions.get(channel)?.at(-1);
  }
}
