import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../suite/wait.ts';
import { type RedisCluster, startRedisCluster } from './redis-cluster.ts';

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

it('has three masters with a replica each, which serve all slots', async () => {
  const [first] = cluster.nodes;
  const seen = await cluster.seenBy(first!);
  expect(seen.filter(({ master }) => master === undefined)).toHaveLength(3);
  expect(seen.filter(({ master }) => master !== undefined)).toHaveLength(3);
  for (const slot of [0, 5_461, 16_383]) await cluster.ownerOf(slot);
});

it('moves a slot with its keys, and the old owner ends the subscriptions of the slot', async () => {
  const from = await cluster.masterOf('BTC.trade');
  const to = cluster.nodes.slice(0, 3).find(({ id }) => id !== from.id)!;
  await from.control.set('{BTC.trade}:meta', 'a:1');
  const subscriber = new Redis({ host: from.host, port: from.port });
  await using owned = new AsyncDisposableStack();
  owned.defer(() => subscriber.disconnect());
  let ended = 0;
  (subscriber as { on(event: string, listener: () => void): unknown }).on('moved', () => {
    ended += 1;
  });
  await subscriber.ssubscribe('BTC.trade');

  const slot = await cluster.slotOf('BTC.trade');
  await cluster.moveSlot(slot, to);
  await eventually(() => ended === 1);
  expect((await cluster.masterOf('BTC.trade')).id).toBe(to.id);
  expect(await to.control.get('{BTC.trade}:meta')).toBe('a:1');
  await expect(from.control.get('{BTC.trade}:meta')).rejects.toThrow(`MOVED ${slot}`);
});

it('promotes the replica of a master that is killed or cut off from the others', async () => {
  const killed = await cluster.ownerOf(0);
  await killed.kill();
  await eventually(async () => (await cluster.ownerOf(0)).id !== killed.id, { deadlineMs: 20_000 });
  await killed.restart('empty');
  await cluster.untilWhole();

  const cutOff = await cluster.ownerOf(0);
  using isolation = cluster.isolate(cutOff);
  await eventually(async () => (await cluster.ownerOf(0)).id !== cutOff.id, {
    deadlineMs: 20_000,
  });
  expect(await cutOff.control.ping()).toBe('PONG');
  await eventually(
    async () =>
      String(await cutOff.control.set('{x}y', '1').catch(String)).match(/CLUSTERDOWN|MOVED/) !==
      null,
  );
  isolation[Symbol.dispose]();
  await cluster.untilWhole();
});
