import { setTimeout as sleep } from 'node:timers/promises';
import { type Metrics, parseMetrics } from '@tradewind/dev';
import { collectGarbage, type Inspectable } from '../../test/support/inspector.ts';
import { readMemory } from '../load/process-usage.ts';
import type { RunningContender } from './contenders.ts';

/** Memory of an edge, in bytes. */
export interface EdgeMemory {
  readonly pssBytes: number;
  /** The part of it that belongs to no file: what does not depend on who else runs the same program. */
  readonly anonymousBytes: number;
  /** What V8 says is in use on its heap, and outside of it for buffers. */
  readonly heapBytes: number;
  readonly externalBytes: number;
  /** Whether its PSS had come to rest when it was read. */
  readonly settled: boolean;
}

/** PSS has come to rest when it moves by no more than this, in bytes, for so long, in ms. */
const REST_BYTES = 512 * 1024;
const REST_MS = 3_000;
const POLL_MS = 500;

/** How long to wait for that, in ms; then it is read as it is. */
const SETTLE_DEADLINE_MS = 60_000;

/** How long an admin page may take to answer, in ms: the edge may be busy. */
const ADMIN_DEADLINE_MS = 20_000;

/** As much of an edge of the benchmarks as its memory is read through. */
export interface MeasuredEdge extends Inspectable {
  readonly pid: number;
  metrics(): Promise<Metrics>;
}

/** The edge of a contender that is one. It stays its owner's to end. */
export function measuredEdge({ name, pid, output, adminUrl }: RunningContender): MeasuredEdge {
  if (adminUrl === undefined) throw new Error(`${name} has no admin port`);
  return { pid, output, metrics: () => readMetrics(adminUrl) };
}

/** As it is at this moment, garbage included. */
export async function readEdgeMemory(edge: MeasuredEdge): Promise<EdgeMemory> {
  const { pssBytes, anonymousBytes } = await readMemory(edge.pid);
  return { pssBytes, anonymousBytes, ...(await readHeap(edge)), settled: false };
}

/** As it is when its PSS has come to rest; nothing is asked of it to get there. */
export async function readSettledMemory(edge: MeasuredEdge): Promise<EdgeMemory> {
  const pss = await settledPss(edge.pid);
  return { ...pss, ...(await readHeap(edge)) };
}

/** After a forced collection, for which the edge was started with `INSPECTABLE`. */
export async function readCollectedMemory(edge: MeasuredEdge): Promise<EdgeMemory> {
  const { heapUsed, external } = await collectGarbage(edge);
  const pss = await settledPss(edge.pid);
  return { ...pss, heapBytes: heapUsed, externalBytes: external };
}

async function settledPss(
  pid: number,
): Promise<Pick<EdgeMemory, 'pssBytes' | 'anonymousBytes' | 'settled'>> {
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  let { pssBytes: rest } = await readMemory(pid);
  let restingSince = performance.now();
  for (;;) {
    await sleep(POLL_MS);
    const { pssBytes, anonymousBytes } = await readMemory(pid);
    const now = performance.now();
    if (Math.abs(pssBytes - rest) > REST_BYTES) {
      rest = pssBytes;
      restingSince = now;
    }
    if (now - restingSince >= REST_MS) return { pssBytes, anonymousBytes, settled: true };
    if (now > deadline) return { pssBytes, anonymousBytes, settled: false };
  }
}

async function readHeap(
  edge: MeasuredEdge,
): Promise<Pick<EdgeMemory, 'heapBytes' | 'externalBytes'>> {
  const metrics = await edge.metrics();
  return {
    heapBytes: metrics.sum('nodejs_heap_size_used_bytes') ?? Number.NaN,
    externalBytes: metrics.sum('nodejs_external_memory_bytes') ?? Number.NaN,
  };
}

async function readMetrics(adminUrl: string): Promise<Metrics> {
  const signal = AbortSignal.timeout(ADMIN_DEADLINE_MS);
  const response = await fetch(`${adminUrl}/metrics`, { signal });
  if (!response.ok) throw new Error(`${adminUrl}/metrics answered ${response.status}`);
  return parseMetrics(await response.text());
}
