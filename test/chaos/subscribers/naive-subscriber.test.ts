import { expect, it } from 'vitest';
import { linksOf, TcpFaultProxy } from '../../support/faults/tcp-fault-proxy.ts';
import { type RedisNode, startRedisNode } from '../../support/redis/redis-topology.ts';
import { eventually } from '../../support/suite/wait.ts';
import type { Complaint } from '../oracle/complaint.ts';
import { expectComplaints, expectToFail } from '../oracle/expect-complaints.ts';
import { Ledger } from '../oracle/ledger.ts';
import { NumberedPublisher } from '../publishers/publisher.ts';
import { startScriptPublisher } from '../publishers/script-publisher.ts';
import { NaiveSubscriber } from './naive-subscriber.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade'];

/** Returns the complaints of a naive subscriber after `act`, under load. */
async function complaintsAfter(
  act: (redis: RedisNode, proxy: TcpFaultProxy) => Promise<void>,
): Promise<readonly Complaint[]> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedisNode());
  const { host, port } = redis;
  const proxy = stack.use(await TcpFaultProxy.start({ host, port, speaks: 'redis' }));
  const ledger = new Ledger();
  const naive = stack.use(await NaiveSubscriber.start(proxy.url, CHANNELS, ledger));
  const via = stack.use(startScriptPublisher(redis.url));
  await eventually(() => via.publish('warm-up', '0'));
  const publisher = stack.use(
    new NumberedPublisher({ channels: CHANNELS, ledger, via, ratePerSecond: 1_000 }),
  );
  const flows = async (): Promise<void> => {
    const { acknowledged } = publisher;
    await eventually(() => publisher.acknowledged > acknowledged + 200);
  };
  await flows();
  await act(redis, proxy);
  await flows();
  await eventually(() => naive.redis.status === 'ready');
  const { publications } = naive.oracle.counts;
  await eventually(() => naive.oracle.counts.publications > publications + 100);
  await publisher.stop();
  // A message may be in flight for as long as a round trip takes.
  await naive.redis.ping();
  return naive.finish();
}

it('has no reason to complain while nothing breaks', async () => {
  expect(await complaintsAfter(async () => {})).toEqual([]);
});

it('loses publications while its link is down, without any report', async () => {
  const complaints = await complaintsAfter(async (redis) => {
    await redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  });
  expectComplaints(complaints, ['silent-hole']);
  await expectToFail(() => expectComplaints(complaints, ['duplicate']));
});

it('loses a single message that the proxy swallows', async () => {
  const complaints = await complaintsAfter(async (_redis, proxy) => {
    const links = linksOf('subscriber');
    await proxy.swallowMessage(({ channel }) => channel === 'BTC.trade', { links }).sprung;
  });
  expect(complaints).toMatchObject([{ kind: 'silent-hole', channel: 'BTC.trade' }]);
});

it('mistakes the publications of a Redis that restarted empty', async () => {
  const complaints = await complaintsAfter(async (redis) => redis.restart('empty'));
  expectComplaints(complaints, [
    'duplicate',
    'reorder',
    'silent-hole',
    'wrong-payload',
    'missing',
    'unknown-publication',
  ]);
});
