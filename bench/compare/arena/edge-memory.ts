import { setTimeout as sleep } from 'node:timers/promises';
import { type Metrics, parseMetrics } from '@tradewind/dev';
import { collectGarbage, type Inspectable } from '../../../test/support/services/inspector.ts';
import { readMemory } from '../../load/processes/process-usage.ts';
import type { RunningContender } from './contenders.ts';

/** Memory of an edge, in bytes. */
export interface EdgeMemory {
  readonly pssBytes: number;
  /** The part of it that belongs to no file, and does not depend on other processes of the same program. */
  readonly anonymousBytes: number;
  /** Used bytes on V8's heap, and outside of it in buffers. */
  readonly heapBytes: number;
  readonly externalBytes: number;
  /** Whether its PSS was stable when it was read. */
  readonly settled: boolean;
}

/** PSS is stable if it moves by no more than this, in bytes, for this long, in ms. */
const REST_BYTES = 512 * 1024;
const REST_MS = 3_000;
const POLL_MS = 500;

/** How long to wait for a stable PSS, in ms; afterwards it is read as it is. */
const SETTLE_DEADLINE_MS = 60_000;

/** How long an admin page may take to answer, in ms: the edge may be busy. */
const ADMIN_DEADLINE_MS = 20_000;

/** The parts of a benchmark's edge that its memory is read through. */
export interface MeasuredEdge extends Inspectable {
  readonly pid: number;
  metrics(): Promise<Metrics>;
}

/** Returns the edge of a contender that is an edge. Its owner still ends it. */
export function measuredEdge({ name, pid, output, adminUrl }: RunningContender): MeasuredEdge {
  if (adminUrl === undefined) throw new Error(`${name} has no admin port`);
  return { pid, output, metrics: () => readMetrics(adminUrl) };
}

/** Reads its memory at this moment, garbage included. */
export async function readEdgeMemory(edge: MeasuredEdge): Promise<EdgeMemory> {
  const { pssBytes, anonymousBytes } = await readMemory(edge.pid);
  return { pssBytes, anonymousBytes, ...(await readHeap(edge)), settled: false };
}

/** Reads its memory once its PSS is stable, without making it collect. */
export async function readSettledMemory(edge: MeasuredEdge): Promise<EdgeMemory> {
  const pss = await settledPss(edge.pid);
  return { ...pss, ...(await readHeap(edge)) };
}

/** Reads its memory after a forced collection; the edge must have been started with `INSPECTABLE`. */
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
