import { expect, it } from 'vitest';
import { TcpFaultProxy } from '../../support/faults/tcp-fault-proxy.ts';
import { startRedisNode, startSentinels } from '../../support/redis/redis-topology.ts';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import { Scenario } from '../scenario/scenario.ts';
import { NaiveSubscriber } from '../subscribers/naive-subscriber.ts';

/** Channels on which the failover loses writes, and one whose writes had all been replicated. */
const LOSING = ['BTC.trade', 'ETH.trade', 'SOL.trade'];
const SPARED = 'DOGE.trade';
const CHANNELS = [...LOSING, SPARED];

const RATE = 300;

/** The silence after which a Sentinel considers the master down, in ms. */
const DOWN_AFTER_MS = 1_000;

/** How long Sentinels may take to agree and promote on a busy machine, in ms. */
const FAILOVER_MS = 30_000;

/** How long edges and ingest may take to find the new master by themselves, in ms. */
const FOUND_MS = 10_000;

it('A13: the master is killed under load and Sentinels promote a replica that lags: nothing is lost without a report', async () => {
  await using topology = new AsyncDisposableStack();
  const master = topology.use(await startRedisNode());
  const { host, port } = master;
  // All use this address of the master; otherwise Sentinels would correct the replica. Only replication lags.
  const way = topology.use(await TcpFaultProxy.start({ host, port, speaks: 'bytes' }));
  const replica = topology.use(await startRedisNode({ replicaOf: way }));
  const replication = new Set(way.links);
  const sentinels = topology.use(
    await startSentinels({
      ...{ master: way, masterName: 'trades', count: 3, downAfterMs: DOWN_AFTER_MS },
    }),
  );
  const hosts = sentinels.addresses.map((each) => `${each.host}:${each.port}`).join();
  const env = { REDIS_MODE: 'sentinel', REDIS_URL: `redis://${hosts}/${sentinels.masterName}` };

  await using scenario = await Scenario.start({ redis: master, edges: 2, env });
  const ingest = await scenario.startIngest(env);
  const publish = (channels: readonly string[], ratePerSecond: number) =>
    scenario.publish({ channels, ratePerSecond, via: ingest.publisher, maxInFlight: 1 });
  const spared = publish([SPARED], 0);
  await spared.publishOne(SPARED);
  const publisher = publish(LOSING, RATE);
  await scenario.until(() => publisher.acknowledged > RATE, 'trades flow');
  const clients = await scenario.connect({ channels: CHANNELS, count: 6 });
  const naive = scenario.use(
    await NaiveSubscriber.start(
      { sentinels: [...sentinels.addresses], name: sentinels.masterName },
      ...([CHANNELS, scenario.ledger] as const),
    ),
  );
  await spared.publishOne(SPARED);
  await master.control.wait(1, FOUND_MS);

  way.impose({ blackhole: true }, (link) => replication.has(link));
  const { acknowledged } = publisher;
  await scenario.until(
    () => publisher.acknowledged > acknowledged + RATE,
    'writes that will be lost',
  );
  await publisher.hold();
  expect(await scenario.settle(), 'the writes that will be lost were delivered').toBe(true);
  scenario.movesTo(replica);
  await master.kill();
  publisher.go();

  const promoted = async (): Promise<boolean> =>
    (await sentinels.master()).port === replica.port &&
    (await replica.control.info('replication')).includes('role:master');
  await scenario.until(promoted, 'the replica is the master', FAILOVER_MS);
  const told = (): boolean => clients.every(({ oracle }) => oracle.counts.epochs === LOSING.length);
  await scenario.until(told, 'clients are notified of new epochs', FOUND_MS);
  const before = publisher.acknowledged;
  await scenario.until(() => publisher.acknowledged > before + RATE, 'trades flow again');
  await spared.publishOne(SPARED);
  await publisher.stop();
  expect(scenario.count('connections'), 'nobody had to reconnect').toBe(clients.length);
  await scenario.verify({ epochs: (channel) => (channel === SPARED ? 0 : 1) });
  expectComplaints(naive.finish(), [
    ...(['duplicate', 'reorder', 'silent-hole', 'missing', 'beyond', 'wrong-payload'] as const),
  ]);
});
