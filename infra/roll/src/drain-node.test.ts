import { afterEach, beforeEach, expect, it } from 'vitest';
import { AdminClient } from './admin-client.ts';
import { type DrainSettings, drainNode } from './drain-node.ts';
import type { Reach } from './reach.ts';
import { FakeNode } from './testing/fake-node.ts';

const SETTINGS: DrainSettings = { plannedDrainMs: 400, drainTimeoutMs: 5_000, pollMs: 10 };
const NEVER_MS = 10_000_000;

/** Before it come the request to drain, a look that finds it draining, and one at its clients. */
const FIRST_ONCE_DRAINING = 4;

let node: FakeNode;
beforeEach(async () => {
  node = await FakeNode.start('edge-1');
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
});

it('believes at once that a node has ended which had no clients left', async () => {
  node.drainMs = 200;
  expect(await drainFor({ ...SETTINGS, plannedDrainMs: 4_000 })).toBeLessThan(2_000);
  expect(node.isRunning).toBe(false);
});

it('does not believe it of a node with clients to which the way is lost, until its time is over', async () => {
  node.drainMs = NEVER_MS;
  node.connections = 12;
  const way = loseQuestions(FIRST_ONCE_DRAINING, Number.POSITIVE_INFINITY);
  const lines: string[] = [];
  expect(await drainFor(SETTINGS, way, lines)).toBeGreaterThanOrEqual(SETTINGS.plannedDrainMs);
  expect(lines).toEqual([
    'edge-1: draining',
    'edge-1: does not answer any more, last seen with 12 clients; waiting until 0.4 s after its drain began',
  ]);
});

it('goes on waiting for a node to which the way is found again', async () => {
  node.drainMs = 1_000;
  node.connections = 12;
  const way = loseQuestions(FIRST_ONCE_DRAINING, FIRST_ONCE_DRAINING + 10);
  const settings = { ...SETTINGS, plannedDrainMs: 2_000 };
  expect(await drainFor(settings, way)).toBeGreaterThanOrEqual(settings.plannedDrainMs);
  expect(way.lost).toBe(10);
  expect(node.isRunning).toBe(false);
});

it('asks again when the answer to its request is lost, but not when it is refused', async () => {
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

it('knows a node that its supervisor has started again', async () => {
  node.drainMs = 100;
  node.connections = 12;
  node.restartsByItself = true;
  expect(await drainFor({ ...SETTINGS, plannedDrainMs: 5_000 })).toBeLessThan(2_000);
});

it('gives up on a node that goes on draining', async () => {
  node.drainMs = NEVER_MS;
  await expect(drainFor({ ...SETTINGS, drainTimeoutMs: 500 })).rejects.toThrow(
    'edge-1 has not ended 0.5 s after its drain began',
  );
});

/** Resolves with the ms that it took. */
async function drainFor(settings: DrainSettings, way?: Reach, lines: string[] = []) {
  const startedAt = performance.now();
  const admin = new AdminClient([], way);
  await drainNode(node, admin, settings, (line) => lines.push(line));
  return performance.now() - startedAt;
}

/** A way to the node on which those questions are lost: from the `from`th to the one before the `to`th. */
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
