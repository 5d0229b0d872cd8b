import type { Problem } from './problems.ts';

/** Whether the tier is healthy, in one word and one sentence. */
export interface Verdict {
  readonly word: 'Healthy' | 'Degraded' | 'Failing' | 'Empty' | 'Blind';
  readonly sentence: string;
}

/** What a verdict is made of. */
export interface VerdictSources {
  /** Since when the console itself cannot read Redis, in ms of its monotonic clock; undefined while it can. */
  readonly blindSince: number | undefined;
  readonly now: number;
  readonly edges: number;
  readonly readyEdges: number;
  readonly clients: number;
  /** All that is wrong, the worst first. */
  readonly problems: readonly Problem[];
}

/** Judges the tier. What the console cannot see outweighs what it saw last. */
export function judge(sources: VerdictSources): Verdict {
  const { blindSince, now, edges, readyEdges, clients, problems } = sources;
  if (blindSince !== undefined) {
    const seconds = Math.floor((now - blindSince) / 1_000);
    return { word: 'Blind', sentence: `Redis has not answered the console for ${seconds} s.` };
  }
  if (edges === 0) {
    return { word: 'Empty', sentence: 'No edge has told its state within ten minutes.' };
  }
  const [worst] = problems;
  if (worst === undefined) {
    const nodes = `${readyEdges} of ${edges} ${edges === 1 ? 'edge is' : 'edges are'} ready`;
    return { word: 'Healthy', sentence: `${nodes}; ${clients.toLocaleString('en-US')} clients.` };
  }
  const others = problems.length - 1;
  const more = others === 0 ? '' : ` ${others} more ${others === 1 ? 'problem' : 'problems'}.`;
  return {
    word: worst.severity === 'critical' ? 'Failing' : 'Degraded',
    sentence: `${worst.node} ${worst.sentence}. ${readyEdges} of ${edges} edges are ready.${more}`,
  };
}
