import { expect, it } from 'vitest';
import { copyChannel } from './channel-copy.ts';
import type { RedisClient } from './redis.ts';

/** A channel without a history, whose position becomes `later` once it was read. */
class Positions {
  meta: string | null;
  readonly #later: string | null;

  constructor(meta: string | null, later: string | null = meta) {
    this.meta = meta;
    this.#later = later;
  }

  get client(): RedisClient {
    return this as unknown as RedisClient;
  }

  multi() {
    const replies = [this.meta, 0, [], [], -2].map((reply) => [null, reply]);
    this.meta = this.#later;
    const chain = {
      ...{ get: () => chain, xlen: () => chain, xrange: () => chain, xrevrange: () => chain },
      ...{ pttl: () => chain, exec: async () => replies },
    };
    return chain;
  }

  async set(_key: string, value: string): Promise<void> {
    this.meta = value;
  }

  async eval(_script: string, _count: number, _key: string, expected: string, value: string) {
    if ((this.meta ?? '') !== expected) return 0;
    this.meta = value;
    return 1;
  }
}

it('writes a position', async () => {
  const target = new Positions('k3x9:1');
  const copied = await copyChannel(new Positions('k3x9:2').client, target.client, 'c');
  expect(copied).toEqual({ kind: 'copied', entries: 0 });
  expect(target.meta).toBe('k3x9:2');
});

it('does not take back a position that the target gave since it was read', async () => {
  const target = new Positions(null, 'k3x9:1');
  const copied = await copyChannel(new Positions('k3x8:7').client, target.client, 'c');
  expect(copied).toEqual({ kind: 'ahead' });
  expect(target.meta).toBe('k3x9:1');
});
