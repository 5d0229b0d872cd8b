import { expect, it } from 'vitest';
import { connectReaders } from '../support/readers.ts';
import type { TestEdge } from '../support/service.ts';
import { startTier } from '../support/tier.ts';
import { eventually } from '../support/wait.ts';

/** More clients than are left to V8's own collections. */
const CLIENTS = 600;

/** The time of two checks, and some more for a slow machine, in ms. */
const COLLECTED_WITHIN_MS = 40_000;

/** Counts collections of the old generation in the main thread, as the metric does. */
async function collections(edge: TestEdge): Promise<number> {
  const metrics = await edge.metrics();
  return metrics.sum('nodejs_gc_duration_seconds_count', { kind: 'major' }) ?? 0;
}

it('collects the memory of clients after a wave of them has left', async () => {
  await using tier = await startTier({ edges: 1, env: { EDGE_WORKERS: '1' } });
  const edge = tier.edges[0]!;
  await using readers = await connectReaders(edge, {
    connections: CLIENTS,
    channels: ['BTC.trade'],
    mode: 'single',
  });
  const before = await collections(edge);
  await readers.stop();
  await eventually(async () => expect(await collections(edge)).toBeGreaterThan(before), {
    deadlineMs: COLLECTED_WITHIN_MS,
  });
});
