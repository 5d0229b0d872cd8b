import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeCloud } from './testing/fake-cloud.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const GROUP = ['--mig', 'edges', '--region', 'europe-west4', '--project', 'p', '--iap'];
const SECRET = ['--token-secret', 'edge-admin-token'];
const QUICK = ['--health-window', '0', '--poll', '0.1'];
const DEADLINE = { timeout: 60_000, interval: 20 };
const NEVER_MS = 10_000_000;

let cloud: FakeCloud;
const children: ChildProcess[] = [];
beforeEach(async () => {
  cloud = await FakeCloud.start(3);
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await cloud[Symbol.asyncDispose]();
});

describe('the command, with an instance group behind Identity-Aware Proxy', {
  timeout: 180_000,
}, () => {
  it('rolls it with a token of Secret Manager, and leaves no tunnel behind', async () => {
    const roll = run([...GROUP, ...SECRET, ...QUICK, '--drain-seconds', '2']);
    expect(await roll.exitCode).toBe(0);
    expect(roll.lines.at(-2)).toMatch(/3 of 3 replaced$/);
    expect(roll.lines.at(-1)).toMatch(/templates deleted that no node uses: oldest, older$/);
    expect(cloud.templates).toEqual(['newest']);
    expect(cloud.nodes.map(({ name }) => name)).toEqual(['edge-1-new', 'edge-2-new', 'edge-3-new']);
    expect(cloud.hadEnded).toEqual([true, true, true]);
    expect(cloud.tunnels.length).toBeGreaterThanOrEqual(6);
    expect(cloud.openTunnels).toEqual([]);
  });

  it('keeps its capacity with a surge, and shrinks by the given number', async () => {
    const [first] = cloud.nodes;
    const surge = run([...GROUP, ...SECRET, ...QUICK, '--drain-seconds', '2', '--surge', '2']);
    expect(await surge.exitCode).toBe(0);
    const names = cloud.nodes.map(({ name }) => name);
    expect(names.toSorted()).toEqual(['edge-1-new', 'edge-new-1', 'edge-new-2']);
    expect(cloud.asked.filter((asked) => asked.includes('resize'))).toHaveLength(1);
    expect(first?.asked).toEqual(['drain']);
    const shrink = run([
      ...GROUP,
      ...SECRET,
      ...QUICK,
      '--drain-seconds',
      '2',
      '--remove-count',
      '2',
    ]);
    expect(await shrink.exitCode).toBe(0);
    expect(shrink.lines.at(-1)).toMatch(/1 nodes are left: write 1 as the count/);
    expect(cloud.nodes).toHaveLength(1);
    expect(cloud.hadEnded).not.toContain(false);
  });

  it('deletes all templates of a group that is gone, and none if gcloud cannot list those in use', async () => {
    cloud.intercept = (args) =>
      args.includes('describe') ? { stdout: '', error: 'PERMISSION_DENIED' } : undefined;
    const refused = run([...GROUP, '--clean-templates']);
    expect(await refused.exitCode).toBe(1);
    expect(cloud.templates).toHaveLength(3);
    cloud.intercept = (args) =>
      args.includes('describe')
        ? { stdout: '', error: "The resource 'projects/p/…/edges' was not found" }
        : undefined;
    const gone = run([...GROUP, '--clean-templates']);
    expect(await gone.exitCode).toBe(0);
    expect(cloud.templates).toEqual([]);
  });

  it('does not replace a node whose tunnel drops while it drains', async () => {
    for (const node of cloud.nodes) {
      node.connections = 12;
      node.drainMs = 3_000;
    }
    const roll = run([...GROUP, ...SECRET, ...QUICK, '--drain-seconds', '4']);
    await vi.waitFor(() => expect(cloud.nodes[0]?.asked).toEqual(['drain']), DEADLINE);
    process.kill(cloud.tunnels.find(({ instance }) => instance === 'edge-1')!.pid, 'SIGKILL');
    await vi.waitFor(() => expect(cloud.hadEnded).toEqual([true]), DEADLINE);
    expect(cloud.tunnels.filter(({ instance }) => instance === 'edge-1').length).toBeGreaterThan(1);
    roll.child.kill('SIGTERM');
    expect(await roll.exitCode).toBe(128 + 15);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'ends its tunnels when it ends by %s',
    async (signal) => {
      for (const node of cloud.nodes) node.drainMs = NEVER_MS;
      const roll = run([...GROUP, ...SECRET]);
      await vi.waitFor(() => expect(cloud.nodes[0]?.asked).toEqual(['drain']), DEADLINE);
      expect(cloud.openTunnels).toHaveLength(3);
      roll.child.kill(signal);
      await roll.exitCode;
      await vi.waitFor(() => expect(cloud.openTunnels).toEqual([]), DEADLINE);
      expect(cloud.hadEnded).toEqual([]);
    },
  );

  it('rebalances when a node is added while it watches, and ends with 0 on SIGTERM', async () => {
    const [first, second, third] = cloud.nodes as [
      FakeCloud['nodes'][number],
      FakeCloud['nodes'][number],
      FakeCloud['nodes'][number],
    ];
    cloud.nodes.pop();
    for (const node of [first, second]) {
      node.connections = 1_000;
      node.reasons = ['full'];
      node.onShed = (count) => {
        node.connections -= count;
        third.connections += count;
        node.reasons = [];
      };
    }
    const options = ['--interval', '1', '--looks', '2', '--over', '1', '--max-share', '1'];
    const watch = run([...GROUP, ...SECRET, '--watch', ...options]);
    await vi.waitFor(() => expect(watch.lines.at(-1)).toMatch(/ even$/), DEADLINE);
    cloud.nodes.push(third);
    await vi.waitFor(() => expect(third.connections).toBe(666), DEADLINE);
    await vi.waitFor(() => expect(watch.lines.at(-1)).toMatch(/ even$/), DEADLINE);
    watch.child.kill('SIGTERM');
    expect(await watch.exitCode).toBe(0);
    expect(cloud.openTunnels).toEqual([]);
  });

  it('reports what is wrong with the token', async () => {
    const open = run([...GROUP]);
    expect(await open.exitCode).toBe(1);
    expect(open.lines.at(-1)).toMatch(/nothing was touched: edge-1, edge-2, edge-3 answered 401/);
    cloud.intercept = (args) =>
      args.includes('secrets') ? { stdout: '', error: 'PERMISSION_DENIED' } : undefined;
    const refused = run([...GROUP, ...SECRET]);
    expect(await refused.exitCode).toBe(1);
    expect(refused.lines.join('\n')).toMatch(/PERMISSION_DENIED/);
    expect(cloud.nodes.flatMap(({ asked }) => asked)).toEqual([]);
  });
});

it('ends with 2 if the command line is wrong, and points to the options', async () => {
  const wrong = run(['--iap']);
  expect(await wrong.exitCode).toBe(2);
  expect(wrong.lines[0]).toBe('name the nodes by --node or by --mig');
  const help = run(['--help']);
  expect(await help.exitCode).toBe(0);
  expect(help.lines.join('\n')).toContain('--token-secret NAME');
});

function run(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ADMIN_TOKEN: undefined, ...cloud.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  return { child, lines, exitCode };
}
