import { type AddressInfo, connect as connectTcp, createServer, type Server } from 'node:net';
import { pipeline } from 'node:stream';
import { connect } from '@tradewind/client';
import { describe, expect, it } from 'vitest';
import { Scene } from '../../sdk/scene.ts';
import { startTierDriver, type TierDriver } from '../../sdk/tier-driver.ts';
import { IS_LONG } from '../../support/suite/length.ts';

/** The node's `heartbeat`: 20 s without a frame, and 10 s more; and what a busy machine adds. */
const NOTICED_WITHIN_MS = 30_000 + 5_000;

/** The largest wait between two attempts, and what a busy machine adds. */
const LONGEST_WAIT_MS = 30_000 + 5_000;

/** A proxy of a company gives an idle connection up after this time. */
const IDLE_MS = 60_000;
const QUIET_MS = 300_000;

/**
 * What the largest distance from a uniform distribution may be, times the root of the count (Kolmogorov and Smirnov): once in
 * 10,000 runs it is larger by chance.
 */
const MOST_DISTANCE = 2.23;

function sceneOf(driver: TierDriver, name: string): Scene {
  return new Scene({ connect, WebSocket: globalThis.WebSocket }, driver, name, Math.random, 60_000);
}

/** Passes bytes on, and ends connections on which nothing came for {@link IDLE_MS}. */
async function startIdleProxy(to: URL): Promise<Server> {
  const proxy = createServer((client) => {
    const edge = connectTcp(Number(to.port), to.hostname);
    client.setTimeout(IDLE_MS, () => client.destroy());
    pipeline(client, edge, () => {});
    pipeline(edge, client, () => {});
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return proxy;
}

// Each has a tier of its own: together they take as long as the longest.
describe.skipIf(!IS_LONG).concurrent('the SDK with the waits that an application has', () => {
  it.each(['silent', 'deaf'] as const)(
    'notices a network that is %s, and resumes',
    async (fault) => {
      await using driver = await startTierDriver();
      const scene = sceneOf(driver, fault);
      const client = scene.patientClient();
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      const waiting = scene.until(client, 'waiting', NOTICED_WITHIN_MS);
      await scene.both(fault);
      const end = await driver.publish(scene.name(), 5);
      expect(await waiting).toMatchObject({ cause: { code: 'connection_lost' } });
      await scene.both('clear');
      await follower.reaches(end, LONGEST_WAIT_MS);
      expect(follower.gaps).toEqual([]);
      expect(await scene.end()).toEqual([]);
    },
  );

  it('keeps a quiet connection for five minutes, through a proxy that ends idle ones', async () => {
    await using driver = await startTierDriver();
    const proxy = await startIdleProxy(new URL(driver.urls[0]!));
    const { port } = proxy.address() as AddressInfo;
    const scene = sceneOf(driver, 'quiet');
    const client = scene.patientClient(`ws://127.0.0.1:${port}/ws`);
    const follower = scene.follow(client);
    await scene.live(client);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const pings = scene.spy.sent.filter(({ type }) => type === 'ping');
    expect(pings.length).toBeGreaterThanOrEqual(Math.floor(QUIET_MS / 25_000));
    await scene.deliver('a', 1, [follower]);
    expect(client.stats().reconnects).toBe(0);
    expect(scene.spy.sockets).toHaveLength(1);
    expect(await scene.end()).toEqual([]);
    proxy.close();
  });

  it('waits longer each time for a server that accepts and drops twenty times, up to 30 s', async () => {
    await using driver = await startTierDriver();
    const scene = sceneOf(driver, 'flapping');
    const client = scene.patientClient();
    const follower = scene.follow(client);
    const waits: number[] = [];
    client.on('state', ({ state }) => {
      if (state.name === 'waiting') waits.push(state.retryAt - Date.now());
    });
    for (let i = 0; i < 20; i += 1) {
      await scene.until(client, 'online', LONGEST_WAIT_MS);
      await scene.bring(client, 'waiting', 'reset');
    }
    for (const [attempt, wait] of waits.entries()) {
      expect(wait).toBeLessThanOrEqual(Math.min(30_000, 1_000 * 2 ** attempt));
    }
    expect(Math.max(...waits), 'control: no short wait has this bound').toBeGreaterThan(10_000);
    await scene.live(client);
    await scene.deliver('a', 3, [follower]);
    expect(follower.gaps).toEqual([]);
    expect(await scene.end()).toEqual([]);
  });

  it('spreads 200 clients of a killed edge evenly over a second', async () => {
    await using driver = await startTierDriver();
    const scene = sceneOf(driver, 'killed');
    const [first] = driver.urls;
    const waits: number[] = [];
    for (let i = 0; i < 200; i += 1) {
      let isFirst = true;
      const client = scene.patientClient(() => {
        const url = isFirst ? first! : driver.urls[1]!;
        isFirst = false;
        return url;
      });
      scene.follow(client);
      client.on('state', ({ state }) => {
        if (state.name === 'waiting') waits.push(state.retryAt - Date.now());
      });
      await client.ready();
    }
    await scene.deliver('a', 5);
    await driver.fault(0, 'kill');
    await scene.deliver('a', 5);
    expect(waits).toHaveLength(200);
    const sorted = waits.toSorted((a, b) => a - b);
    const distances = sorted.map((wait, i) => {
      const expected = Math.min(1, Math.max(0, wait / 1_000));
      return Math.max(Math.abs(expected - i / 200), Math.abs(expected - (i + 1) / 200));
    });
    expect(Math.max(...distances) * Math.sqrt(200)).toBeLessThan(MOST_DISTANCE);
    expect(scene.followers.flatMap(({ gaps }) => gaps)).toEqual([]);
    await driver.fault(0, 'start');
    expect(await scene.end()).toEqual([]);
  });
});
