import { afterEach, expect, it, vi } from 'vitest';
import { AdminClient } from './admin-client.ts';
import { createStaticFleet } from './fleet.ts';
import type { RebalanceSettings } from './rebalance.ts';
import { FakeNode } from './testing/fake-node.ts';
import { type WatchSettings, watchFleet } from './watch.ts';

const REBALANCE: RebalanceSettings = {
  tolerance: 0.1,
  leastOff: 1,
  overSeconds: 1,
  maxSharePerSecond: 1,
  maxRounds: 2,
};
const NEVER_MS = 10_000_000;
const WATCH: WatchSettings = { intervalMs: 20, looks: 3, restMs: NEVER_MS };
const TEST = { timeout: 30_000 };
const DEADLINE = { timeout: 20_000, interval: 20 };

let end = new AbortController();
let watching: Promise<void> | undefined;
const nodes: FakeNode[] = [];
afterEach(async () => {
  end.abort();
  await watching;
  await Promise.all(nodes.splice(0).map((node) => node[Symbol.asyncDispose]()));
});

it('rebalances full nodes when one is added, and keeps looking', TEST, async () => {
  await addNodes(500, 500);
  const lines = watch();
  await linesUntil(lines, 'even');
  for (const node of nodes) node.reasons = ['full'];
  await addNodes(0);
  // It may be even again before anybody has seen that.
  await vi.waitFor(() => expect(lines).toContain('uneven'), DEADLINE);
  await linesUntil(lines, 'even');
  expect(lines).toEqual([
    'even',
    'uneven',
    'edge-1 500, edge-2 500, edge-3 0; average 333',
    'edge-1: sheds 167 over 1 s',
    'edge-2: sheds 167 over 1 s',
    'even',
  ]);
  expect(nodes.map(({ connections }) => connections)).toEqual([333, 333, 334]);
});

it('does nothing about an imbalance that it saw too few times', TEST, async () => {
  await addNodes(100, 50);
  const lines = watch({ ...WATCH, looks: 1_000 });
  await linesUntil(lines, 'uneven');
  nodes[1]!.connections = 100;
  await linesUntil(lines, 'even');
  nodes[1]!.connections = 50;
  await linesUntil(lines, 'uneven');
  expect(shed()).toEqual([]);
});

it('leaves a fleet alone during a roll', TEST, async () => {
  await addNodes(100, 50, 10);
  nodes[2]!.reasons = ['draining'];
  const lines = watch({ ...WATCH, looks: 1 });
  await linesUntil(lines, 'no telling: edge-3 drains');
  nodes[2]!.reasons = [];
  await linesUntil(lines, 'even');
  expect(lines[1]).toBe('uneven');
});

it('gives a fleet a rest if its rounds do not help', TEST, async () => {
  await addNodes(100, 50);
  for (const node of nodes) node.onShed = () => {};
  const lines = watch({ ...WATCH, looks: 1 });
  const MESSAGE =
    'still uneven after 2 rounds (edge-1 100, edge-2 50; average 75); left alone for 10000 s. ' +
    'Does the balancer send clients to nodes with fewer?';
  await linesUntil(lines, MESSAGE);
  expect(shed()).toHaveLength(2);
});

it('reports an error once, and looks again', TEST, async () => {
  await addNodes(100, 50);
  const WRONG_TOKEN =
    'no telling: edge-1 does not report its connections: only edges are rebalanced';
  nodes[0]!.isWithoutIndex = true;
  const lines = watch();
  await linesUntil(lines, WRONG_TOKEN);
  nodes[0]!.isWithoutIndex = false;
  await linesUntil(lines, 'even');
  expect(lines.filter((line) => line === WRONG_TOKEN)).toHaveLength(1);
});

it('ends in the middle of a round', TEST, async () => {
  await addNodes(100, 50);
  const lines = watch({ ...WATCH, looks: 1 }, { ...REBALANCE, overSeconds: 3_600 });
  await linesUntil(lines, 'edge-1: sheds 25 over 3600 s');
  end.abort();
  await watching;
  expect(lines.at(-1)).toBe('edge-1: sheds 25 over 3600 s');
});

/** Adds nodes that give their clients, when they shed, to the node with the fewest. */
async function addNodes(...connections: readonly number[]): Promise<void> {
  for (const count of connections) {
    const node = await FakeNode.start(`edge-${nodes.length + 1}`);
    node.connections = count;
    node.onShed = (shedCount) => {
      const fewest = nodes.reduce((a, b) => (a.connections <= b.connections ? a : b));
      node.connections -= shedCount;
      node.reasons = [];
      fewest.connections += shedCount;
    };
    nodes.push(node);
  }
}

function watch(settings = WATCH, rebalance = REBALANCE): readonly string[] {
  const lines: string[] = [];
  end = new AbortController();
  const fleet = createStaticFleet(nodes, { replace: undefined, remove: undefined });
  const admin = new AdminClient();
  const report = (line: string): void => void lines.push(line);
  watching = watchFleet(fleet, admin, rebalance, settings, report, end.signal);
  return lines;
}

async function linesUntil(lines: readonly string[], last: string): Promise<void> {
  await vi.waitFor(() => expect(lines.at(-1)).toBe(last), DEADLINE);
}

function shed(): readonly string[] {
  return nodes.flatMap(({ asked }) => asked);
}
