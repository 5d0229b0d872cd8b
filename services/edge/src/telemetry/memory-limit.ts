import { totalmem } from 'node:os';

/**
 * The most memory that a node should use, in bytes: the configured value; else the limit of its control group
 * (`MemoryMax` and `MemoryHigh` of systemd, the limit of a container); else the memory of the machine.
 *
 * @param configured `EDGE_MEMORY_LIMIT_BYTES`; 0 for none.
 * @param constrained the value of `process.constrainedMemory()`; 0, or more than the machine has, for none.
 */
export function memoryLimitBytes(
  configured: number,
  constrained: number = process.constrainedMemory(),
  total: number = totalmem(),
): number {
  if (configured > 0) return configured;
  return constrained > 0 ? Math.min(constrained, total) : total;
}
