import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { AdminClient } from './admin-client.ts';
import type { Fleet } from './fleet.ts';
import { DIRECTLY } from './reach.ts';
import { type RollSettings, removeNode, removeNodes, rollFleet } from './roll.ts';
import { FakeNode } from './testing/fake-node.ts';

const SETTINGS: RollSettings = {
  parallel: 1,
  surge: 0,
  plannedDrainMs: 1_000,
  drainTimeoutMs: 20_000,
  readyTimeoutMs: 20_000,
  healthWindowMs: 50,
  pollMs: 10,
};
const NEVER_MS = 10_000_000;

const nodes: FakeNode[] = [];
const removed: FakeNode[] = [];
afterEach(async () => {
  const all = [...nodes.splice(0), ...removed.splice(0)];
  await Promise.all(all.map((node) => node[Symbol.asyncDispose]()));
});

it('drains, replaces and awaits one node after the other, with the others ready all the time', async () => {
  const { fleet, story, lines } = await startFleet(3);
  await rollFleet(fleet, new AdminClient(), SETTINGS, (line) => lines.push(line));
  expect(story).toEqual([
    'replace edge-1, others ready: true',
    'replace edge-2, others ready: true',
    'replace edge-3, others ready: true',
  ]);
  expect(nodes.map(({ asked }) => asked)).toEqual([['drain'], ['drain'], ['drain']]);
  expect(lines.at(-1)).toBe('3 of 3 replaced');
});

it('replaces several at a time if asked to, but never all', async () => {
  const { fleet, story } = await startFleet(3);
  await rollFleet(fleet, new AdminClient(), { ...SETTINGS, parallel: 2 }, () => {});
  expect(story).toHaveLength(3);
  const all = rollFleet(fleet, new AdminClient(), { ...SETTINGS, parallel: 3 }, () => {});
  await expect(all).rejects.toThrow('3 at a time would leave none of 3 nodes');
});

it('recognizes a node that its supervisor has started again', async () => {
  const { fleet, story } = await startFleet(2, () => {});
  for (const node of nodes) {
    node.drainMs = 100;
    node.restartsByItself = true;
  }
  await rollFleet(fleet, new AdminClient(), SETTINGS, () => {});
  expect(story).toHaveLength(2);
});

it('touches nothing while a node is not ready', async () => {
  const { fleet } = await startFleet(3);
  nodes[2]!.reasons = ['subscription_link_down'];
  const rolled = rollFleet(fleet, new AdminClient(), SETTINGS, () => {});
  await expect(rolled).rejects.toThrow(
    'nothing was touched: edge-3 is unready (subscription_link_down)',
  );
  expect(nodes.flatMap(({ asked }) => asked)).toEqual([]);
});

it('stops at a node that does not end, and reports which nodes are done and left', async () => {
  const { fleet } = await startFleet(3);
  nodes[1]!.drainMs = NEVER_MS;
  // Long enough for a busy machine to see that the first one has ended.
  const settings = { ...SETTINGS, drainTimeoutMs: 2_000 };
  const rolled = rollFleet(fleet, new AdminClient(), settings, () => {});
  await expect(rolled).rejects.toThrow(
    'stopped at edge-2: edge-2 has not ended 2 s after its drain began; replaced: edge-1; not touched: edge-3',
  );
  expect(nodes[2]!.asked).toEqual([]);
});

it('stops if a replacement does not get ready', async () => {
  const { fleet } = await startFleet(2, () => {});
  const settings = { ...SETTINGS, readyTimeoutMs: 200 };
  const rolled = rollFleet(fleet, new AdminClient(), settings, () => {});
  await expect(rolled).rejects.toThrow(
    /stopped at edge-1: not ready after 0.2 s: edge-1 is unreachable/,
  );
  expect(nodes[1]!.asked).toEqual([]);
});

it('stops if a replacement does not stay ready', async () => {
  const { fleet } = await startFleet(2, (node) => node.start());
  const settings = { ...SETTINGS, healthWindowMs: NEVER_MS };
  const rolled = rollFleet(fleet, new AdminClient(), settings, (text) => {
    if (text.startsWith('all ready')) nodes[0]!.reasons.push('full');
  });
  await expect(rolled).rejects.toThrow('not healthy: edge-1 is unready (full)');
});

it('is not stopped by a list that cannot be read, nor by one unanswered request', async () => {
  const { fleet, story, lines } = await startFleet(2);
  const settings = { ...SETTINGS, healthWindowMs: 500 };
  let looks = 0;
  const flaky: Fleet = {
    ...fleet,
    async list() {
      looks += 1;
      if (looks % 3 === 0) throw new Error('503 from compute.googleapis.com');
      return fleet.list();
    },
  };
  const lost = { questions: 0 };
  const admin = new AdminClient([], {
    async urlOf({ adminUrl }) {
      lost.questions += 1;
      if (lines.at(-1)?.startsWith('all ready') && lost.questions % 5 === 0) {
        throw new Error('the tunnel hiccups');
      }
      return adminUrl;
    },
    keepOnly() {},
    async [Symbol.asyncDispose]() {},
  });
  await rollFleet(flaky, admin, settings, (line) => lines.push(line));
  expect(story).toHaveLength(2);
});

it('stops if the nodes cannot be listed for as long as it waits for one', async () => {
  const { fleet } = await startFleet(2);
  let looks = 0;
  const broken: Fleet = {
    ...fleet,
    async list() {
      looks += 1;
      if (looks > 1) throw new Error('no credentials');
      return fleet.list();
    },
  };
  const settings = { ...SETTINGS, readyTimeoutMs: 200 };
  await expect(rollFleet(broken, new AdminClient(), settings, () => {})).rejects.toThrow(
    'not ready after 0.2 s: the nodes cannot be listed: no credentials',
  );
});

it('stops if a replacement no longer answers', async () => {
  const { fleet } = await startFleet(2, (node) => node.start());
  const settings = { ...SETTINGS, healthWindowMs: NEVER_MS };
  const rolled = rollFleet(fleet, new AdminClient(), settings, (text) => {
    if (text.startsWith('all ready')) void nodes[0]!.stop();
  });
  await expect(rolled).rejects.toThrow('not healthy: edge-1 is unreachable');
});

it('stops if the command fails', async () => {
  const { fleet } = await startFleet(2, () => {
    throw new Error('no quota');
  });
  const rolled = rollFleet(fleet, new AdminClient(), SETTINGS, () => {});
  await expect(rolled).rejects.toThrow('stopped at edge-1: no quota; replaced: none');
});

it('touches nothing if a node accepts none of the tokens', async () => {
  const { fleet, story } = await startFleet(3, (node) => node.start(), 'sesame');
  nodes[1]!.token = 'the one before';
  const admin = new AdminClient(['sesame']);
  const why = 'nothing was touched: edge-2 answered 401: they accept none of the tokens';
  const surge = { ...SETTINGS, surge: 1 };
  await expect(rollFleet(fleet, admin, surge, () => {})).rejects.toThrow(why);
  await expect(removeNodes(fleet, 1, admin, SETTINGS, () => {})).rejects.toThrow(why);
  await expect(removeNode(fleet, 'edge-2', admin, SETTINGS, () => {})).rejects.toThrow(why);
  expect(nodes.flatMap(({ asked }) => asked)).toEqual([]);
  expect(story).toEqual([]);
  const both = new AdminClient(['sesame', 'the one before']);
  await rollFleet(fleet, both, SETTINGS, () => {});
  expect(story).toHaveLength(3);
});

it('removes one node, if the others can do without it', async () => {
  const { fleet, story } = await startFleet(2);
  const admin = new AdminClient();
  await expect(removeNode(fleet, 'edge-9', admin, SETTINGS, () => {})).rejects.toThrow(
    'there is no node edge-9, only edge-1, edge-2',
  );
  await removeNode(fleet, 'edge-2', admin, SETTINGS, () => {});
  expect(story).toEqual(['remove edge-2']);
  expect(nodes.map(({ name, isRunning }) => [name, isRunning])).toEqual([['edge-1', true]]);
});

it('removes the given number of nodes, those with the fewest clients, and prints the new count', async () => {
  const { fleet, story, lines } = await startFleet(4);
  for (const [i, clients] of [30, 10, 40, 20].entries()) nodes[i]!.connections = clients;
  const admin = new AdminClient();
  await removeNodes(fleet, 2, admin, { ...SETTINGS, parallel: 2 }, (line) => lines.push(line));
  expect(story).toEqual(['remove edge-2', 'remove edge-4']);
  expect(lines.at(-1)).toBe('2 nodes are left: write 2 as the count before the next apply');
  await expect(removeNodes(fleet, 2, admin, SETTINGS, () => {})).rejects.toThrow(
    'of 2 nodes one must stay',
  );
});

it('removes nodes that hold no clients, as an ingest does', async () => {
  const { fleet, story } = await startFleet(3);
  for (const node of nodes) node.isWithoutIndex = true;
  await removeNodes(fleet, 1, new AdminClient(), SETTINGS, () => {});
  expect(story).toEqual(['remove edge-1']);
});

it('stops removing if one of those that stay is no longer ready', async () => {
  const { fleet, story } = await startFleet(4);
  const first = nodes[0]!;
  const impaired: Fleet = {
    ...fleet,
    async remove(node) {
      await fleet.remove(node);
      nodes.at(-1)!.reasons = ['subscription_link_down'];
    },
  };
  const rolled = removeNodes(impaired, 2, new AdminClient(), SETTINGS, () => {});
  await expect(rolled).rejects.toThrow(
    'removed: edge-1: edge-4 is unready (subscription_link_down)',
  );
  expect(story).toEqual([`remove ${first.name}`]);
});

it('adds nodes first and removes as many old ones at the end, so that there are never fewer', async () => {
  const { fleet, story, lines } = await startFleet(3);
  const old = [...nodes];
  const settings = { ...SETTINGS, surge: 1 };
  await rollFleet(fleet, new AdminClient(), settings, (line) => lines.push(line));
  expect(story).toEqual([
    'add 1',
    'replace edge-1, others ready: true',
    'replace edge-2, others ready: true',
    'remove edge-3',
  ]);
  expect(old.map(({ asked }) => asked)).toEqual([['drain'], ['drain'], ['drain']]);
  expect(nodes.map(({ name }) => name)).toEqual(['edge-1', 'edge-2', 'new-1']);
  expect(lines[0]).toMatch(
    /^3 nodes, 1 at a time, about .* where a node only starts again, \d+ minutes where Google makes it$/,
  );
});

it('reports that added nodes are still there if a roll with a surge stops', async () => {
  const { fleet } = await startFleet(2, () => {
    throw new Error('no quota');
  });
  const rolled = rollFleet(fleet, new AdminClient(), { ...SETTINGS, surge: 1 }, () => {});
  await expect(rolled).rejects.toThrow(
    /no quota; replaced: none; .*added and still there: 1 \(--remove-count 1 ends that\)/,
  );
  const tooMany = rollFleet(fleet, new AdminClient(), { ...SETTINGS, surge: 9 }, () => {});
  await expect(tooMany).rejects.toThrow('a surge of 9 is more than the 3 nodes that there are');
});

it('ends a surge that failed by removing what it left, and not nodes that serve', async () => {
  const { fleet, story, idle, lines } = await startFleet(3);
  for (const node of nodes) node.connections = 10;
  const failing: Fleet = {
    ...fleet,
    async add() {
      await fleet.add(1);
      nodes.at(-1)!.reasons = ['not_linked_yet'];
      idle.push('never-made');
    },
  };
  const admin = new AdminClient();
  const settings = { ...SETTINGS, surge: 2, readyTimeoutMs: 200 };
  const rolled = rollFleet(failing, admin, settings, () => {});
  await expect(rolled).rejects.toThrow('added and still there: 2 (--remove-count 2 ends that)');
  const again = rollFleet(failing, admin, settings, () => {});
  await expect(again).rejects.toThrow('nothing was touched: never-made must run first, or go');
  await removeNodes(failing, 2, admin, SETTINGS, (line) => lines.push(line));
  expect(story).toEqual(['add 1', 'remove never-made, which does not run', 'remove new-1']);
  expect(nodes.map(({ name, asked }) => [name, asked])).toEqual([
    ['edge-1', []],
    ['edge-2', []],
    ['edge-3', []],
  ]);
  expect(lines.at(-1)).toBe('3 nodes are left: write 3 as the count before the next apply');
});

it('removes nothing while a node that is not ready holds clients, drains, or does not answer', async () => {
  const { fleet, story } = await startFleet(3);
  const last = nodes[2]!;
  const removing = () => removeNodes(fleet, 1, new AdminClient(), SETTINGS, () => {});
  last.reasons = ['full'];
  last.connections = 10;
  await expect(removing()).rejects.toThrow('nothing was touched: edge-3 is unready (full)');
  last.reasons = ['draining'];
  last.connections = 0;
  await expect(removing()).rejects.toThrow('nothing was touched: edge-3 is unready (draining)');
  await last.stop();
  await expect(removing()).rejects.toThrow('nothing was touched: edge-3 is unreachable');
  expect(story).toEqual([]);
});

it('counts machines that do not run among those that are left, and removes one by its name', async () => {
  const { fleet, story, idle, lines } = await startFleet(3);
  idle.push('never-made', 'being-made');
  const admin = new AdminClient();
  await removeNode(fleet, 'edge-3', admin, SETTINGS, (line) => lines.push(line));
  expect(lines.at(-1)).toBe('4 nodes are left: write 4 as the count before the next apply');
  await removeNode(fleet, 'never-made', admin, SETTINGS, (line) => lines.push(line));
  expect(story).toEqual(['remove edge-3', 'remove never-made, which does not run']);
  expect(lines.at(-1)).toBe('3 nodes are left: write 3 as the count before the next apply');
});

it('also tries the previous token, and reads again after a change during the roll', async () => {
  const { fleet } = await startFleet(
    2,
    async (node) => {
      node.token = 'new';
      await node.start();
    },
    'old',
  );
  await rollFleet(fleet, new AdminClient(['new', 'old']), SETTINGS, () => {});
  for (const node of nodes) node.token = 'newest';
  const stale = new AdminClient(['new', 'old']);
  await expect(rollFleet(fleet, stale, SETTINGS, () => {})).rejects.toThrow('answered 401');
  let reads = 0;
  const admin = new AdminClient(['old'], DIRECTLY, async () => {
    reads += 1;
    await sleep(100);
    return ['newest', 'new'];
  });
  // All of them refuse at once, and one reading serves all.
  await rollFleet(fleet, admin, { ...SETTINGS, surge: 2, parallel: 2 }, () => {});
  expect(reads).toBe(1);
});

async function startFleet(
  count: number,
  replace: (node: FakeNode) => void | Promise<void> = (node) => node.start(),
  token?: string,
) {
  for (let i = 1; i <= count; i += 1) nodes.push(await FakeNode.start(`edge-${i}`, token));
  const story: string[] = [];
  const idle: string[] = [];
  const fleet: Fleet = {
    list: async () => [...nodes],
    async replace(node) {
      const others = nodes.filter((each) => each !== node);
      const areReady = others.every((each) => each.isRunning && each.reasons.length === 0);
      story.push(`replace ${node.name}, others ready: ${areReady}`);
      await replace(node as FakeNode);
    },
    async remove(node) {
      story.push(`remove ${node.name}`);
      nodes.splice(nodes.indexOf(node as FakeNode), 1);
      removed.push(node as FakeNode);
    },
    async add(extra) {
      story.push(`add ${extra}`);
      for (let i = 1; i <= extra; i += 1) nodes.push(await FakeNode.start(`new-${i}`, token));
    },
    deleteUnusedTemplates: async () => [],
    listIdle: async () => [...idle],
    async removeIdle(name) {
      story.push(`remove ${name}, which does not run`);
      idle.splice(idle.indexOf(name), 1);
    },
  };
  return { fleet, story, idle, lines: [] as string[] };
}
