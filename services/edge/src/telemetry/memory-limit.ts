import { totalmem } from 'node:os';

/**
 * How much memory a node is meant to use at most, in bytes: what was configured; else what its
 * control group allows (`MemoryMax` and `MemoryHigh` of systemd, a container's limit); else what the
 * machine has.
 *
 * @param configured `EDGE_MEMORY_LIMIT_BYTES`; 0 for none.
 * @param constrained as `process.constrainedMemory()` tells it: 0, or more than there is, for none.
 */
export function memoryLimitBytes(
  configured: number,
  constrained: number = process.constrainedMemory(),
  total: number = totalmem(),
): number {
  if (configured > 0) return configured;
  return constrained > 0 ? Math.min(constrained, total) : total;
}
