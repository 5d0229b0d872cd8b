import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { TIMEOUT_MS } from '../clients/testing/deadline.ts';
import { type YoungGeneration, YoungGenerationBound } from './young-generation.ts';

const MIB = 1024 * 1024;
const GROW = fileURLToPath(new URL('./testing/grow-young-generation.ts', import.meta.url));

describe('YoungGenerationBound', () => {
  it('lets it grow to 16 MiB and no further, and again after it has shrunk', () => {
    const young = new FakeYoungGeneration();
    new YoungGenerationBound(young);
    expect(young.sizesOverCollections(6)).toEqual([2, 4, 8, 16, 16, 16]);
    young.halfMib = 1;
    young.collected();
    expect(young.sizesOverCollections(5)).toEqual([2, 4, 8, 16, 16]);
  });

  it('holds one that had grown before', () => {
    const young = new FakeYoungGeneration();
    young.halfMib = 16;
    new YoungGenerationBound(young);
    expect(young.sizesOverCollections(2)).toEqual([16, 16]);
  });

  it('leaves it to V8 when it is stopped', () => {
    const young = new FakeYoungGeneration();
    young.halfMib = 16;
    const bound = new YoungGenerationBound(young);
    expect(young.factor).toBe(1);
    bound.stop();
    expect(young.factor).toBe(2);
    expect(young.unwatched).toHaveBeenCalledTimes(1);
  });
});

describe('the young generation of a real thread', () => {
  it('grows beyond 16 MiB when nothing bounds it', { timeout: TIMEOUT_MS }, async () => {
    expect(await grownMib('free')).toBeGreaterThan(16);
  });

  it('is bounded in the main thread', { timeout: TIMEOUT_MS }, async () => {
    expect(await grownMib('bound')).toBeLessThanOrEqual(16);
  });

  it('is bounded in a worker thread', { timeout: TIMEOUT_MS }, async () => {
    expect(await grownMib('worker')).toBeLessThanOrEqual(16);
  });
});

/** V8 may come to put what always survives among the old at once, and then the young generation is not filled any more. */
const EVERYTHING_BEGINS_YOUNG = '--no-allocation-site-pretenuring';

/** How large a half is after much has survived in a process of its own, in MiB. */
async function grownMib(kind: 'free' | 'bound' | 'worker'): Promise<number> {
  const args = [EVERYTHING_BEGINS_YOUNG, GROW, kind];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: {} });
  return Number(stdout) / MIB;
}

class FakeYoungGeneration implements YoungGeneration {
  halfMib = 1;
  factor = 2;
  readonly unwatched = vi.fn();
  collected: () => void = () => undefined;

  watch(collected: () => void): () => void {
    this.collected = collected;
    return this.unwatched;
  }

  halfBytes(): number {
    return this.halfMib * MIB;
  }

  growBy(factor: number): void {
    this.factor = factor;
  }

  /** What survives fills it each time: its size after each of so many collections, in MiB. */
  sizesOverCollections(count: number): number[] {
    return Array.from({ length: count }, () => {
      this.halfMib *= this.factor;
      this.collected();
      return this.halfMib;
    });
  }
}
