import type { DemoEdge } from './demo-edge.ts';

/** What a choice looks at. */
export type ChosenEdge = Pick<DemoEdge, 'name' | 'wsUrl' | 'condition'>;

/**
 * Returns a function that chooses the edge for each attempt of one client, as a balancer would: one that is ready, the home
 * first, and never the one of the last attempt while there is another.
 */
export function nodeChoice(edges: () => readonly ChosenEdge[], home: string): () => string {
  let last: string | undefined;
  return () => {
    const ready = edges().filter(({ condition }) => condition === 'ready');
    const candidates = ready.length > 0 ? ready : edges();
    const others = candidates.filter(({ wsUrl }) => wsUrl !== last);
    const next = others.find(({ name }) => name === home) ?? others[0] ?? candidates[0];
    last = next?.wsUrl ?? '';
    return last;
  };
}
