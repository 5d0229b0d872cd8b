import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { expectToFail } from '../oracle/expect-complaints.ts';
import { Scenario } from '../scenario/scenario.ts';
import { NaiveInterest } from '../subscribers/naive-interest.ts';

const CHANNELS = Array.from({ length: 40 }, (_, i) => `race.${i}`);
const CLIENTS = 8;
const OPERATIONS = 10_000;

/** Operations that are sent without waiting for earlier answers. */
const AT_ONCE = 50;

/** No limits on the rate of requests, and a channel without interest is unsubscribed at once. */
const HASTY = {
  ...{ EDGE_LINGER_MS: '0', EDGE_NODE_SUBSCRIBE_RATE: '1000000', EDGE_SUBSCRIBE_RATE: '100000' },
  ...{ EDGE_REQUEST_RATE: '100000', EDGE_REQUEST_BURST: '100000' },
};

/** Actions of clients on their interest in channels. */
interface Subscribers {
  join(client: number, channel: string): void;
  leave(client: number, channel: string): void;
  /** Resolves after everything that this client did so far has been answered. */
  answered(client: number): Promise<void>;
}

/** Lets clients join and leave at random; returns the channels that each holds in the end. */
async function race(scenario: Scenario, subscribers: Subscribers): Promise<Set<string>[]> {
  const { random } = scenario;
  const held = Array.from({ length: CLIENTS }, () => new Set<string>());
  for (let done = 0; done < OPERATIONS; done += 1) {
    const client = random.below(CLIENTS);
    const channel = CHANNELS[random.below(CHANNELS.length)]!;
    if (random.next() < 0.5) {
      subscribers.join(client, channel);
      held[client]!.add(channel);
    } else {
      subscribers.leave(client, channel);
      held[client]!.delete(channel);
    }
    if (done % AT_ONCE === 0) await subscribers.answered(client);
  }
  for (const client of held.keys()) await subscribers.answered(client);
  return held;
}

/** Waits until Redis has exactly the channels that any client holds. */
async function expectInRedis(scenario: Scenario, held: readonly Set<string>[]): Promise<void> {
  const wanted = [...new Set(held.flatMap((channels) => [...channels]))].sort();
  const { control } = scenario.redis;
  await scenario.until(
    async () => {
      const present = (await control.pubsub('CHANNELS', 'race.*')) as string[];
      expect(present.sort()).toEqual(wanted);
      return true;
    },
    'Redis knows exactly the wanted channels',
    5_000,
  );
}

it('A11: 10,000 random subscribes and unsubscribes end with the wanted channels, in Redis too', async () => {
  await using scenario = await Scenario.start({ env: HASTY });
  const [edge] = scenario.edges;
  const clients: TestClient[] = [];
  for (let i = 0; i < CLIENTS; i += 1)
    clients.push(scenario.use(await TestClient.connect(edge!.wsUrl)));
  const held = await race(scenario, {
    join: (client, channel) =>
      void clients[client]!.request({ type: 'subscribe', channels: [channel] }),
    leave: (client, channel) =>
      void clients[client]!.request({ type: 'unsubscribe', channels: [channel] }),
    answered: (client) => clients[client]!.ping(),
  });
  await expectInRedis(scenario, held);

  const wanted = new Set(held.flatMap((channels) => [...channels]));
  for (const channel of wanted) await scenario.redis.control.publish(channel, '"last"');
  for (const [i, client] of clients.entries()) {
    const channels = [...held[i]!];
    const has = (channel: string): boolean =>
      client.publications.some(({ channel: name, data }) => name === channel && data === '"last"');
    await client.waitFor(() => channels.every(has));
    const others = client.publications.filter(({ channel }) => !held[i]!.has(channel));
    expect(others).toEqual([]);
  }
});

/** Races of the control. By chance the naive count is right after about one race in twelve. */
const CONTROL_RACES = 5;

it('A11, control: a count for each channel that changes after the answer of Redis is wrong in the end', async () => {
  await using scenario = await Scenario.start({ edges: 0 });
  await expectToFail(async () => {
    for (let i = 0; i < CONTROL_RACES; i += 1) {
      using interest = new NaiveInterest(scenario.redis.url);
      const mine = Array.from({ length: CLIENTS }, () => new Set<string>());
      const held = await race(scenario, {
        join(client, channel) {
          if (!mine[client]!.has(channel)) interest.join(channel);
          mine[client]!.add(channel);
        },
        leave(client, channel) {
          if (mine[client]!.delete(channel)) interest.leave(channel);
        },
        answered: () => interest.settled(),
      });
      await expectInRedis(scenario, held);
    }
  });
});
