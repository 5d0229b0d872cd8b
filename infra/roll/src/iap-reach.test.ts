import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AdminClient } from './admin-client.ts';
import { createIapReach } from './iap-reach.ts';
import type { FleetNode } from './reach.ts';
import { FAKE_TOKEN, FakeCloud, isAlive } from './testing/fake-cloud.ts';

const ADMIN_PORT = 9080;
const DEADLINE = { timeout: 30_000, interval: 20 };
const TEST = { timeout: 120_000 };

let cloud: FakeCloud;
beforeEach(async () => {
  cloud = await FakeCloud.start(2);
  for (const [name, value] of Object.entries(cloud.environment)) vi.stubEnv(name, value);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await cloud[Symbol.asyncDispose]();
});

it(
  'reaches nodes without a reachable address, by one tunnel each, and ends them',
  TEST,
  async () => {
    const reach = createIapReach(ADMIN_PORT, 'p');
    const admin = new AdminClient([FAKE_TOKEN], reach);
    cloud.nodes[1]!.connections = 7;
    await Promise.all([1, 2].map(() => admin.state(node('edge-1'))));
    expect(await admin.state(node('edge-1'))).toEqual({ kind: 'ready' });
    expect(await admin.connections(node('edge-2'))).toBe(7);
    expect(cloud.asked).toEqual([
      'compute start-iap-tunnel edge-1 9080',
      'compute start-iap-tunnel edge-2 9080',
    ]);
    expect(cloud.openTunnels).toEqual(['edge-1', 'edge-2']);
    await reach[Symbol.asyncDispose]();
    expect(cloud.openTunnels).toEqual([]);
  },
);

it('reopens a dropped tunnel, and closes those to nodes that are gone', TEST, async () => {
  await using reach = createIapReach(ADMIN_PORT, undefined);
  const admin = new AdminClient([FAKE_TOKEN], reach);
  await admin.state(node('edge-1'));
  const { pid } = cloud.tunnels[0]!;
  process.kill(pid, 'SIGKILL');
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), DEADLINE);
  await vi.waitFor(
    async () => expect(await admin.state(node('edge-1'))).toEqual({ kind: 'ready' }),
    DEADLINE,
  );
  expect(cloud.tunnels).toHaveLength(2);
  await admin.state(node('edge-2'));
  reach.keepOnly([node('edge-2')]);
  await vi.waitFor(() => expect(cloud.openTunnels).toEqual(['edge-2']), DEADLINE);
});

it(
  'reports the error of gcloud if there is no way, and tries again the next time',
  TEST,
  async () => {
    await using reach = createIapReach(ADMIN_PORT, undefined);
    const admin = new AdminClient([FAKE_TOKEN], reach);
    await cloud.nodes[0]!.stop();
    expect(await admin.state(node('edge-1'))).toEqual({
      kind: 'unreachable',
      cause: expect.stringMatching(/^no tunnel to edge-1: gcloud ended with 1 \(ERROR.*4003/),
    });
    await cloud.nodes[0]!.start();
    expect(await admin.state(node('edge-1'))).toEqual({ kind: 'ready' });
    expect(await admin.state({ name: 'edge-9', adminUrl: 'http://192.0.2.9:9080' })).toMatchObject({
      cause: 'no tunnel to edge-9: its zone is not known',
    });
  },
);

function node(name: string): FleetNode {
  return { name, zone: 'europe-west4-a', adminUrl: 'http://192.0.2.1:9080' };
}
