import { describe, expect, it } from 'vitest';
import {
  circlesOf,
  floorsOf,
  graphOfFiles,
  graphOfRooms,
  type ImportGraph,
  isForTests,
  upwardArrows,
  withOneConsumer,
} from './house-graph.ts';

/** A graph of `a>b a>c`, say. */
function graph(arrows: string): ImportGraph {
  const edges = new Map<string, Set<string>>();
  for (const arrow of arrows.split(' ')) {
    const [from, to] = arrow.split('>') as [string, string];
    edges.set(from, (edges.get(from) ?? new Set()).add(to));
    if (!edges.has(to)) edges.set(to, new Set());
  }
  return edges;
}

describe('graphOfFiles', () => {
  it('has what a file names by a path, types and re-exports included, and nothing else', () => {
    const main = `import { x } from 'ws';
import { y } from './hub/hub.ts';
import type { Z } from './feed.ts';
import { gone } from './gone.ts';
`;
    const files = graphOfFiles([
      { path: 'main.ts', text: main },
      { path: 'hub/hub.ts', text: `export * from '../feed.ts';` },
      { path: 'feed.ts', text: '' },
    ]);
    expect(files).toEqual(
      new Map([
        ['main.ts', new Set(['hub/hub.ts', 'feed.ts'])],
        ['hub/hub.ts', new Set(['feed.ts'])],
        ['feed.ts', new Set()],
      ]),
    );
    expect(graphOfRooms(files)).toEqual(
      new Map([
        ['main', new Set(['hub', 'feed'])],
        ['hub', new Set(['feed'])],
        ['feed', new Set()],
      ]),
    );
  });
});

describe('graphOfRooms', () => {
  it('leaves out that a room imports itself', () => {
    expect(graphOfRooms(graph('hub/a.ts>hub/b.ts hub/a.ts>feed.ts'))).toEqual(
      new Map([
        ['hub', new Set(['feed'])],
        ['feed', new Set()],
      ]),
    );
  });
});

it('recognizes a file that is for tests', () => {
  expect(
    ['hub/hub.test.ts', 'hub/testing/world.ts', 'feed.contract.ts', 'hub/hub.ts'].map(isForTests),
  ).toEqual([true, true, true, false]);
});

describe('floorsOf', () => {
  it('counts the nodes of the longest chain, whatever stands first', () => {
    expect(floorsOf(graph('c>d b>c a>b a>d'))).toBe(4);
    expect(floorsOf(new Map([['a', new Set()]]))).toBe(1);
    expect(floorsOf(new Map())).toBe(0);
  });

  it('counts a circle as one', () => {
    expect(floorsOf(graph('a>b b>c c>b c>d'))).toBe(3);
  });
});

describe('circlesOf', () => {
  it('finds each group that imports itself, and no other', () => {
    const circles = circlesOf(graph('a>b b>c c>a c>d d>e e>d e>f'));
    expect(circles.map((circle) => circle.toSorted())).toEqual([
      ['d', 'e'],
      ['a', 'b', 'c'],
    ]);
    expect(circlesOf(graph('a>b a>c b>d c>d'))).toEqual([]);
  });
});

it('finds what exactly one other imports', () => {
  expect(withOneConsumer(graph('a>b a>c b>c')).toSorted()).toEqual(['b']);
});

it('finds the imports that the rules do not have', () => {
  const rules = { main: 'anything', hub: ['feed'], feed: [] } as const;
  expect(upwardArrows(graph('main>hub main>feed hub>feed feed>hub'), rules)).toEqual([
    'feed → hub',
  ]);
});
