import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { AdminClient } from './admin-client.ts';
import { createStaticFleet } from './fleet.ts';
import {
  isEven,
  planShed,
  type RebalanceSettings,
  rebalanceFleet,
  reportUneven,
} from './rebalance.ts';
import { FakeNode } from './testing/fake-node.ts';

const SETTINGS: RebalanceSettings = {
  tolerance: 0.1,
  leastOff: 1,
  overSeconds: 1,
  maxSharePerSecond: 1,
  maxRounds: 3,
};
const NO_COMMANDS = { replace: undefined, remove: undefined };
const TIMEOUT_MS = 30_000;

const nodes: FakeNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node[Symbol.asyncDispose]()));
});

describe('planShed', () => {
  it('makes nodes shed what they have above the average', () => {
    expect(planShed([1_000, 1_000, 0], 2_000)).toEqual([333, 333, 0]);
    expect(planShed([], 300)).toEqual([]);
  });

  it('shares a limit in proportion, however small it is', () => {
    expect(planShed([1_000, 1_000, 0], 100)).toEqual([50, 50, 0]);
    expect(planShed([1_000, 1_000, 0], 1)).toEqual([1, 0, 0]);
  });

  it('moves as much as allowed, and never below the average', () => {
    const inputs = fc.tuple(fc.array(fc.nat(10_000), { maxLength: 10 }), fc.nat(10_000));
    fc.assert(
      fc.property(inputs, ([connections, limit]) => {
        const total = connections.reduce((sum, each) => sum + each, 0);
        const average = connections.length === 0 ? 0 : total / connections.length;
        const counts = planShed(connections, limit);
        const surplus = connections.map((each) => Math.max(0, Math.round(each - average)));
        const wanted = surplus.reduce((sum, each) => sum + each, 0);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(Math.min(limit, wanted));
        counts.forEach((count, i) => {
          expect(count).toBeGreaterThanOrEqual(0);
          expect(count).toBeLessThanOrEqual(surplus[i]!);
        });
      }),
    );
  });
});

describe('isEven', () => {
  it('measures shares of the average', () => {
    expect(isEven([105, 95, 100], SETTINGS)).toBe(true);
    expect(isEven([115, 95, 90], SETTINGS)).toBe(false);
    expect(isEven([], SETTINGS)).toBe(true);
  });

  it('does not count a handful of clients as an imbalance', () => {
    expect(isEven([1, 0, 0], SETTINGS)).toBe(true);
    expect(isEven([150, 50], SETTINGS)).toBe(false);
    expect(isEven([150, 50], { ...SETTINGS, leastOff: 100 })).toBe(true);
  });
});

describe('rebalanceFleet', { timeout: TIMEOUT_MS }, () => {
  it('makes the fuller nodes shed until all hold the same', async () => {
    const [first, second, third] = await startNodes([500, 500, 0]);
    for (const node of [first, second]) {
      node.onShed = (count) => {
        node.connections -= count;
        third.connections += count;
      };
    }
    const settled = await rebalance(SETTINGS);
    expect(settled).toEqual([333, 333, 334]);
    expect(nodes.map(({ asked }) => asked)).toEqual([['shed 167 over 1'], ['shed 167 over 1'], []]);
  });

  it('moves no more than the configured share of all clients', async () => {
    const [first] = await startNodes([1_000, 0]);
    await expect(rebalance({ ...SETTINGS, maxSharePerSecond: 0.1, maxRounds: 1 })).rejects.toThrow(
      'still uneven after 1 rounds (edge-1 1000, edge-2 0; average 500): a round moves at most 50 clients; raise --over, --max-share or --max-rounds',
    );
    expect(first.asked).toEqual(['shed 50 over 1']);
  });

  it('is named where nodes are uneven, and not where they are even', async () => {
    const [first, second] = await startNodes([40, 0]);
    const lines: string[] = [];
    const look = () =>
      reportUneven(createStaticFleet(nodes, NO_COMMANDS), new AdminClient(), SETTINGS, (line) =>
        lines.push(line),
      );
    await look();
    expect(lines).toEqual([
      'clients are uneven (edge-1 40, edge-2 0; average 20): the same command with --rebalance moves some',
    ]);
    first.connections = 20;
    second.connections = 20;
    await look();
    expect(lines).toHaveLength(1);
  });

  it('makes room on nodes that are full: a node was added for that', async () => {
    const [first, second] = await startNodes([500, 500, 0]);
    for (const node of [first, second]) {
      node.reasons = ['full'];
      node.onShed = (count) => {
        node.connections -= count;
        node.reasons = [];
        nodes[2]!.connections += count;
      };
    }
    expect(await rebalance(SETTINGS)).toEqual([333, 333, 334]);
  });

  it('does not count nodes that are not ready for another reason, even if they are full', async () => {
    const [, second, third] = await startNodes([100, 100, 0]);
    third.reasons = ['draining'];
    expect(await rebalance(SETTINGS)).toEqual([100, 100]);
    second.reasons = ['full', 'subscription_link_down'];
    await expect(rebalance(SETTINGS)).rejects.toThrow(
      'at least two nodes must take part, and there are 1',
    );
  });

  it('sends nobody away if all nodes are full', async () => {
    const [first, second] = await startNodes([500, 100]);
    for (const node of [first, second]) node.reasons = ['full'];
    await expect(rebalance(SETTINGS)).rejects.toThrow('no node has room for more clients');
    expect(first.asked).toEqual([]);
  });
});

function rebalance(settings: RebalanceSettings) {
  const fleet = createStaticFleet(nodes, NO_COMMANDS);
  return rebalanceFleet(fleet, new AdminClient(), settings, () => {});
}

async function startNodes(connections: readonly number[]) {
  for (const [i, count] of connections.entries()) {
    const node = await FakeNode.start(`edge-${i + 1}`);
    node.connections = count;
    nodes.push(node);
  }
  return nodes as [FakeNode, FakeNode, FakeNode];
}
