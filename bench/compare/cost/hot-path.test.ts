import { describe, expect, it } from 'vitest';
import { runHotPath } from './hot-path.ts';

/** Enough to hide what is allocated once, and by compiling. */
const DELIVERIES = 1_000_000;
const LOAD = { clients: 1_000, payloadBytes: 500, deliveries: DELIVERIES };
const WIRES = ['v1', 'v2'] as const;

/** Starting a process and a million deliveries take 1 s; a machine in use is slower. */
const DEADLINE_MS = 60_000;

/**
 * A delivery allocates nothing. A write allocates 133 bytes: the view of the buffer that it gives to the socket. The
 * slack is a third of the smallest object on the heap, a boxed number.
 */
const BYTES_PER_WRITE = 133;
const SLACK_BYTES = 4;

describe('the hot path', () => {
  it.each(
    WIRES.flatMap((wire) => [
      { wire, batch: 1 },
      { wire, batch: 16 },
    ]),
  )(
    'allocates nothing per delivery on $wire, with $batch to a write',
    async ({ wire, batch }) => {
      const cost = await runHotPath({ ...LOAD, wire, batch });
      expect(cost.collections).toBe(0);
      expect(cost.heapBytes).toBeLessThan(BYTES_PER_WRITE / batch + SLACK_BYTES);
      expect(cost.bufferBytes).toBeLessThan(1);
    },
    DEADLINE_MS,
  );
});
