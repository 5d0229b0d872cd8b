import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { AdminClient } from './admin-client.ts';
import { createStaticFleet } from './fleet.ts';
import { planShed, type RebalanceSettings, rebalanceFleet } from './rebalance.ts';
import { FakeNode } from './testing/fake-node.ts';

const SETTINGS: RebalanceSettings = {
  tolerance: 0.1,
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
  it('has nodes above the average give what they have above it', () => {
    expect(planShed([1_000, 1_000, 0], 0.1, 2_000)).toEqual({
      average: 2_000 / 3,
      counts: [333, 333, 0],
    });
  });

  it('leaves a tier alone in which everyone is within the tolerance', () => {
    expect(planShed([105, 95, 100], 0.1, 300).counts).toEqual([0, 0, 0]);
    expect(planShed([1, 0, 0], 0.1, 300).counts).toEqual([0, 0, 0]);
    expect(planShed([], 0.1, 300).counts).toEqual([]);
  });

  it('moves no more than the limit, and never below the average', () => {
    const inputs = fc.tuple(fc.array(fc.nat(10_000), { maxLength: 10 }), fc.nat(10_000));
    fc.assert(
      fc.property(inputs, ([connections, limit]) => {
        const { average, counts } = planShed(connections, 0.1, limit);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(limit);
        counts.forEach((count, i) => {
          if (count > 0) expect(connections[i]! - count).toBeGreaterThan(average - 1);
        });
      }),
    );
  });
});

describe('rebalanceFleet', { timeout: TIMEOUT_MS }, () => {
  it('has the fuller nodes shed until all hold the same', async () => {
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
      'still uneven after 1 rounds (edge-1 1000, edge-2 0)',
    );
    expect(first.asked).toEqual(['shed 50 over 1']);
  });

  it('does not count nodes that are not ready', async () => {
    const [, second, third] = await startNodes([100, 100, 0]);
    third.reasons = ['draining'];
    expect(await rebalance(SETTINGS)).toEqual([100, 100]);
    second.reasons = ['full'];
    await expect(rebalance(SETTINGS)).rejects.toThrow('1 of 3 nodes are ready');
  });
});

function rebalance(settings: RebalanceSettings) {
  const fleet = createStaticFleet(nodes, NO_COMMANDS);
  return rebalanceFleet(fleet, new AdminClient(undefined), settings, () => {});
}

async function startNodes(connections: readonly number[]) {
  for (const [i, count] of connections.entries()) {
    const node = await FakeNode.start(`edge-${i + 1}`);
    node.connections = count;
    nodes.push(node);
  }
  return nodes as [FakeNode, FakeNode, FakeNode];
}
