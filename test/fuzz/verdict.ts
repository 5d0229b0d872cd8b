import { usedShare, type Window } from './cost-oracle.ts';
import type { Cost } from './costs.ts';
import type { EdgeFuzzReport } from './edge-fuzz.ts';
import { HELD_BYTES_EACH, MOST_CPU_MS, WARM_UP_BYTES } from './edge-runs.ts';

/** The complaints about the costs of inputs; empty if there are none. */
export function complaintsAbout(report: EdgeFuzzReport): readonly string[] {
  const complaints: string[] = [];
  const { callbacks, redis, sent, heldBytes, leftBytes } = report;
  const [worst] = callbacks;
  if (worst !== undefined && worst.cpuMs > MOST_CPU_MS) {
    complaints.push(`more than ${MOST_CPU_MS} ms of CPU time at once: ${formatCost(worst)}`);
  }
  if (usedShare(redis) > 1) complaints.push(`too much read from Redis: ${formatWindow(redis)}`);
  if (usedShare(sent) > 1) complaints.push(`too much sent to one client: ${formatWindow(sent)}`);
  const holdable = WARM_UP_BYTES + report.clients * HELD_BYTES_EACH;
  if (heldBytes > holdable) complaints.push(`held ${mb(heldBytes)} of ${mb(holdable)} allowed`);
  if (leftBytes > WARM_UP_BYTES) {
    complaints.push(`kept ${mb(leftBytes)} after all had left, of ${mb(WARM_UP_BYTES)} allowed`);
  }
  for (const line of report.fatalLines) complaints.push(`a fault: ${line}`);
  return complaints;
}

/** A run for people: its sums, and its worst costs. */
export function formatReport(report: EdgeFuzzReport): string {
  return [
    formatSummary(report),
    'the most expensive callbacks of the loop:',
    ...report.callbacks.map((cost) => `  ${formatCost(cost)}`),
    'the most expensive messages, without deferred work:',
    ...report.handlings.map((cost) => `  ${formatCost(cost)}`),
  ].join('\n');
}

export function formatSummary(report: EdgeFuzzReport): string {
  const { messages, connections, seconds, inBytes, cpuMs } = report;
  return [
    `${messages} messages, ${mb(inBytes)} in ${seconds.toFixed(1)} s over ${connections} connections: ` +
      `${(cpuMs / 1_000).toFixed(1)} s of CPU, ${((cpuMs * 1_000) / messages).toFixed(0)} µs a message`,
    `read from Redis, the worst ten seconds: ${formatWindow(report.redis)}`,
    `sent to one client, the worst ten seconds: ${formatWindow(report.sent)}`,
    `held with all clients there: ${mb(report.heldBytes)}, after they left: ${mb(report.leftBytes)}`,
  ].join('\n');
}

function formatWindow({ fromMs, toMs, inBytes, outBytes, allowedBytes }: Window): string {
  const seconds = ((toMs - fromMs) / 1_000).toFixed(1);
  return `${mb(outBytes)} of ${mb(allowedBytes)} allowed in ${seconds} s, for ${inBytes} bytes`;
}

function formatCost({ cpuMs, kind, messages, bytes, text }: Cost): string {
  const shown = messages === 0 ? '' : `: ${messages} messages of ${bytes} bytes, first ${text}`;
  return `${cpuMs.toFixed(1)} ms in ${kind}${shown}`;
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}
