import { afterEach, beforeEach, expect, it } from 'vitest';
import { AdminClient } from './admin-client.ts';
import { type DrainSettings, drainNode } from './drain-node.ts';
import type { Reach } from './reach.ts';
import { FakeNode } from './testing/fake-node.ts';

const SETTINGS: DrainSettings = { plannedDrainMs: 400, drainTimeoutMs: 5_000, pollMs: 10 };
const NEVER_MS = 10_000_000;

/** The first request after these: the drain, a state request that finds it draining, and one for its clients. */
const FIRST_ONCE_DRAINING = 4;

let node: FakeNode;
beforeEach(async () => {
  node = await FakeNode.start('edge-1');
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

it('believes at once that a node without clients has ended', { timeout: 20_000 }, async () => {
  // Long enough for a busy machine to ask for its clients before it ends.
  node.drainMs = 1_000;
  const settings = { ...SETTINGS, plannedDrainMs: 20_000, drainTimeoutMs: 30_000 };
  expect(await drainFor(settings)).toBeLessThan(10_000);
  expect(node.isRunning).toBe(false);
});

it('does not believe it of an unreachable node with clients, until its drain time has passed', async () => {
  node.drainMs = NEVER_MS;
  node.connections = 12;
  const way = loseQuestions(FIRST_ONCE_DRAINING, Number.POSITIVE_INFINITY);
  const lines: string[] = [];
  // Long enough for a busy machine to ask for its clients, and again in vain, before that.
  const settings = { ...SETTINGS, plannedDrainMs: 2_000, drainTimeoutMs: 20_000 };
  expect(await drainFor(settings, way, lines)).toBeGreaterThanOrEqual(settings.plannedDrainMs);
  expect(lines).toEqual([
    'edge-1: draining',
    'edge-1: no longer answers, last seen with 12 clients; waiting until 2 s after its drain began',
  ]);
});

it('keeps waiting for a node that is reachable again', async () => {
  node.drainMs = 1_000;
  node.connections = 12;
  const way = loseQuestions(FIRST_ONCE_DRAINING, FIRST_ONCE_DRAINING + 10);
  const settings = { ...SETTINGS, plannedDrainMs: 2_000 };
  expect(await drainFor(settings, way)).toBeGreaterThanOrEqual(settings.plannedDrainMs);
  expect(way.lost).toBe(10);
  expect(node.isRunning).toBe(false);
});

it('repeats its request if the answer is lost, but not if it is refused', async () => {
  node.drainMs = 200;
  const way = loseQuestions(1, 2);
  await drainFor({ ...SETTINGS, plannedDrainMs: 4_000 }, way);
  expect(way.lost).toBe(1);
  const refused = await FakeNode.start('edge-2', 'sesame');
  const admin = new AdminClient();
  const draining = drainNode(refused, admin, SETTINGS, () => {});
  await expect(draining).rejects.toThrow('edge-2: POST /drain answered 401');
  await refused[Symbol.asyncDispose]();
});

it('recognizes a node that its supervisor has started again', async () => {
  node.drainMs = 100;
  node.connections = 12;
  node.restartsByItself = true;
  const settings = { ...SETTINGS, plannedDrainMs: 20_000, drainTimeoutMs: 30_000 };
  expect(await drainFor(settings)).toBeLessThan(10_000);
});

it('gives up on a node that never ends its drain', async () => {
  node.drainMs = NEVER_MS;
  await expect(drainFor({ ...SETTINGS, drainTimeoutMs: 500 })).rejects.toThrow(
    'edge-1 has not ended 0.5 s after its drain began',
  );
});

/** Resolves with the duration in ms. */
async function drainFor(settings: DrainSettings, way?: Reach, lines: string[] = []) {
  const startedAt = performance.now();
  const admin = new AdminClient([], way);
  await drainNode(node, admin, settings, (line) => lines.push(line));
  return performance.now() - startedAt;
}

/** A way to the node that loses requests: from the `from`th to the one before the `to`th. */
function loseQuestions(from: number, to: number): Reach & { lost: number } {
  let asked = 0;
  return {
    lost: 0,
    async urlOf({ adminUrl }) {
      asked += 1;
      if (asked < from || asked >= to) return adminUrl;
      this.lost += 1;
      throw new Error('the tunnel was dropped');
    },
    keepOnly() {},
    async [Symbol.asyncDispose]() {},
  };
}
