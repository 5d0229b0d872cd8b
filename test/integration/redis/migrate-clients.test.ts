import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Client, connect } from '@tradewind/client';
import { createPublisher, type PublisherRedis } from '@tradewind/publisher';
import { Cluster } from 'ioredis';
import { expect, it } from 'vitest';
import { TcpFaultProxy } from '../../support/faults/tcp-fault-proxy.ts';
import { startRedisCluster } from '../../support/redis/redis-cluster.ts';
import { startRedisNode } from '../../support/redis/redis-topology.ts';
import { startEdge, untilLinked } from '../../support/services/service.ts';
import { IS_LONG, shortOrLong } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';

const PROGRAM = fileURLToPath(new URL('../../../packages/cli/src/main.ts', import.meta.url));

/** A Cluster and two edges start, and all clients move, on a busy machine. */
const DEADLINE_MS = IS_LONG ? 600_000 : 180_000;

const CLIENTS = shortOrLong(60, 2_000);
const CHANNELS = Array.from({ length: 12 }, (_, i) => `moved-${i}`);
/** Of each client. */
const CHANNELS_HELD = 3;
/** On each channel: before the pause, after the first copy, and after the move. */
const PUBLICATIONS = shortOrLong(20, 100);

/** What one client got on one channel. */
interface Tape {
  readonly offsets: number[];
  readonly epochs: Set<string>;
  readonly complaints: string[];
}

interface Follower {
  readonly client: Client;
  readonly tapes: ReadonlyMap<string, Tape>;
}

function follow(url: string, number: number): Follower {
  const client = connect(url);
  const tapes = new Map<string, Tape>();
  for (let i = 0; i < CHANNELS_HELD; i += 1) {
    const name = CHANNELS[(number + i) % CHANNELS.length]!;
    const tape: Tape = { offsets: [], epochs: new Set(), complaints: [] };
    tapes.set(name, tape);
    void (async () => {
      for await (const item of client.channel(name).items({ overflow: 'pause' })) {
        // The first epoch of a channel is no complaint.
        if (item.kind === 'resync' && item.reason === 'started') continue;
        if (item.kind === 'gap' || item.kind === 'resync')
          tape.complaints.push(JSON.stringify(item));
        else if (item.kind === 'publication' && item.offset !== undefined) {
          tape.offsets.push(item.offset);
          if (item.epoch !== undefined) tape.epochs.add(item.epoch);
        }
      }
    })();
  }
  return { client, tapes };
}

/** What clients got that were moved by the steps of docs/migration.md, and how many publications each channel had. */
interface Outcome {
  readonly tapes: readonly (readonly [channel: string, tape: Tape])[];
  readonly published: ReadonlyMap<string, number>;
}

/** @param copiesAgain whether what was published after the first copy is copied too, as step 2 of the pause has it. */
async function moveClients(count: number, copiesAgain: boolean): Promise<Outcome> {
  await using stack = new AsyncDisposableStack();
  const source = stack.use(await startRedisNode());
  const cluster = stack.use(await startRedisCluster({ replicas: 0 }));
  const before = stack.use(await startEdge({ REDIS_URL: source.url, DRAIN_SECONDS: '20' }));
  const after = stack.use(await startEdge({ REDIS_MODE: 'cluster', REDIS_URL: cluster.url }));
  await untilLinked(before);
  await untilLinked(after);
  // As behind a balancer, clients know one address, whichever edge answers.
  const balancer = stack.use(
    await TcpFaultProxy.start({ host: '127.0.0.1', port: before.port, speaks: 'bytes' }),
  );
  const target = new Cluster(cluster.nodes.map(({ host, port }) => ({ host, port })));
  stack.defer(() => target.disconnect());

  const followers = Array.from({ length: count }, (_, i) =>
    follow(`ws://127.0.0.1:${balancer.port}/ws`, i),
  );
  stack.defer(async () => {
    await Promise.all(followers.map(({ client }) => client.close()));
  });
  const isOnline = ({ client }: Follower): boolean => client.state.name === 'online';
  await eventually(() => followers.every(isOnline), { deadlineMs: DEADLINE_MS });

  const published = new Map(CHANNELS.map((channel) => [channel, 0]));
  const publish = async (redis: PublisherRedis): Promise<void> => {
    const publications = CHANNELS.flatMap((channel) =>
      Array.from({ length: PUBLICATIONS }, (_, i) => ({ channel, data: { i } })),
    );
    const results = await createPublisher(redis, { deadlineMs: 60_000 }).publishMany(publications);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
    for (const channel of CHANNELS) published.set(channel, published.get(channel)! + PUBLICATIONS);
  };
  const migrate = async (...options: string[]): Promise<void> => {
    const args = ['migrate', '--from', source.url, '--to', cluster.url, ...options];
    await promisify(execFile)(process.execPath, [PROGRAM, ...args]);
  };
  const untilAllHave = async (): Promise<void> => {
    await eventually(
      () => {
        for (const { tapes } of followers)
          for (const [channel, { offsets }] of tapes)
            if (offsets.length < published.get(channel)!) return false;
        return true;
      },
      { deadlineMs: DEADLINE_MS },
    );
  };

  await publish(source.control);
  await untilAllHave();
  await migrate('--running');
  // Half of the clients are at the end of it, the others are in the middle when the pause begins.
  await publish(source.control);
  if (copiesAgain) await migrate();
  // For the control: a client that moves before it has anything of the second round cannot tell that the Cluster lacks it.
  else await untilAllHave();
  balancer.retarget({ host: '127.0.0.1', port: after.port });
  expect((await fetch(`${before.adminUrl}/drain`, { method: 'POST' })).ok).toBe(true);
  await eventually(
    () =>
      followers.every(
        ({ client: { state } }) => state.name === 'online' && state.leaving === undefined,
      ),
    { deadlineMs: DEADLINE_MS },
  );
  await before.exited;
  await publish(target);
  if (copiesAgain) await untilAllHave();
  else
    await eventually(
      () =>
        followers.every(({ tapes }) =>
          [...tapes.values()].every(({ complaints }) => complaints.length > 0),
        ),
      { deadlineMs: DEADLINE_MS },
    );
  const tapes = followers.flatMap((follower) => [...follower.tapes]);
  return { tapes, published };
}

it(`moves ${CLIENTS} clients from one Redis to a Cluster by the steps of docs/migration.md, and none misses anything or gets it twice`, {
  timeout: DEADLINE_MS,
}, async () => {
  const { tapes, published } = await moveClients(CLIENTS, true);
  expect(tapes).toHaveLength(CLIENTS * CHANNELS_HELD);
  for (const [channel, { offsets, epochs, complaints }] of tapes) {
    const all = Array.from({ length: published.get(channel)! }, (_, i) => i + 1);
    expect(offsets, channel).toEqual(all);
    expect(epochs.size).toBe(1);
    expect(complaints).toEqual([]);
  }
});

it('control: without the copy in the pause clients are told that history was lost', {
  timeout: DEADLINE_MS,
}, async () => {
  const { tapes } = await moveClients(12, false);
  expect(tapes.filter(([, { complaints }]) => complaints.length > 0)).toHaveLength(tapes.length);
});
