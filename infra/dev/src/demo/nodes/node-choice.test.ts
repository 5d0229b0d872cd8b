import { describe, expect, it } from 'vitest';
import type { EdgeCondition } from './demo-edge.ts';
import { nodeChoice } from './node-choice.ts';

function choiceOf(home: string, conditions: Record<string, EdgeCondition>) {
  const edges = () =>
    Object.entries(conditions).map(([name, condition]) => ({ name, condition, wsUrl: name }));
  return nodeChoice(edges, home);
}

describe('nodeChoice', () => {
  it('begins at home, then goes away and back', () => {
    const next = choiceOf('b', { a: 'ready', b: 'ready' });
    expect([next(), next(), next()]).toEqual(['b', 'a', 'b']);
  });

  it('leaves out what is not ready, unless nothing is', () => {
    const conditions: Record<string, EdgeCondition> = { a: 'ready', b: 'down' };
    const next = choiceOf('b', conditions);
    expect([next(), next()]).toEqual(['a', 'a']);
    conditions.a = 'down';
    expect([next(), next()]).toEqual(['b', 'a']);
    conditions.b = 'ready';
    expect([next(), next()]).toEqual(['b', 'b']);
  });
});
