import { counted } from './counted.ts';
import type { Problem } from './problems.ts';

/** Whether the tier is healthy, in one word and one sentence. */
export interface Verdict {
  readonly word: 'Healthy' | 'Degraded' | 'Failing' | 'Empty' | 'Blind';
  readonly sentence: string;
  /** Since when what the sentence says is so, in ms of the wall clock; undefined where nothing is wrong. */
  readonly since?: number;
}

/** What a verdict is made of. */
export interface VerdictSources {
  /** Since when the console itself cannot read Redis, in ms of its monotonic clock; undefined while it can. */
  readonly blindSince: number | undefined;
  readonly now: number;
  /** ms of the wall clock. */
  readonly at: number;
  readonly edges: number;
  readonly readyEdges: number;
  readonly clients: number;
  /** All that is wrong, the worst first. */
  readonly problems: readonly Problem[];
}

/** Judges the tier. What the console cannot see outweighs what it saw last. */
export function judge(sources: VerdictSources): Verdict {
  const { blindSince, now, at, edges, readyEdges, clients, problems } = sources;
  if (blindSince !== undefined) {
    const seconds = Math.floor((now - blindSince) / 1_000);
    const sentence = `Redis has not answered the console for ${seconds} s: these are the last figures.`;
    return { word: 'Blind', sentence, since: Math.round(at - (now - blindSince)) };
  }
  if (edges === 0) {
    return { word: 'Empty', sentence: 'No edge has told its state within ten minutes.' };
  }
  const [worst] = problems;
  const ready = `${readyEdges} of ${counted(edges, 'edge is', 'edges are')} ready`;
  if (worst === undefined) {
    return { word: 'Healthy', sentence: `${ready}; ${counted(clients, 'client')}.` };
  }
  const told = problems.filter((problem) => isSame(problem, worst));
  const others = problems.length - told.length;
  const more = others === 0 ? '' : ` ${counted(others, 'more problem')}.`;
  return {
    word: worst.severity === 'critical' ? 'Failing' : 'Degraded',
    sentence: `${wordsOf(worst, told.length, edges)}. ${ready}.${more}`,
    since: Math.min(...told.map(({ since }) => since)),
  };
}

/**
 * Whether two problems are one: edges that are cut off from the same shards tell of the same loss. Where the state of an edge has no
 * room for all names, it has the first ones.
 */
function isSame(one: Problem, other: Problem): boolean {
  if (one === other) return true;
  if (one.shards === undefined || one.shards.away !== other.shards?.away) return false;
  const [names, those] = [one.shards.names, other.shards.names];
  const shared = Math.min(names.length, those.length);
  return shared > 0 && names.slice(0, shared).join() === those.slice(0, shared).join();
}

function wordsOf({ node, sentence, shards }: Problem, count: number, edges: number): string {
  if (shards === undefined || shards.names.length === 0) return `${node} ${sentence}`;
  const { away, names } = shards;
  const name = away === 1 ? 'Redis shard' : 'Redis shards';
  const more = away > names.length ? ` and ${away - names.length} more` : '';
  const who = `${count} of ${counted(edges, 'edge')}`;
  return `${name} ${names.join(', ')}${more} cannot be reached by ${who}: the channels there get nothing`;
}
