import { expect, it } from 'vitest';
import { TestClient } from '../support/client.ts';
import { expectToFail } from './expect-complaints.ts';
import { Scenario } from './scenario.ts';

const CHANNELS = Array.from({ length: 40 }, (_, i) => `race.${i}`);
const CLIENTS = 8;
const OPERATIONS = 10_000;

/** Operations that are sent without waiting for the answers of those before. */
const AT_ONCE = 50;

it('A11: 10,000 random subscribes and unsubscribes end with what was wanted, in Redis too', async () => {
  const env = {
    EDGE_LINGER_MS: '0',
    ...{ EDGE_REQUEST_RATE: '100000', EDGE_REQUEST_BURST: '100000', EDGE_SUBSCRIBE_RATE: '100000' },
    EDGE_NODE_SUBSCRIBE_RATE: '1000000',
  };
  await using scenario = await Scenario.start({ env });
  const { random } = scenario;
  const [edge] = scenario.edges;
  const held = Array.from({ length: CLIENTS }, () => new Set<string>());
  const clients: TestClient[] = [];
  for (const _ of held) clients.push(scenario.use(await TestClient.connect(edge!.wsUrl)));
  for (let done = 0; done < OPERATIONS; done += 1) {
    const who = random.below(CLIENTS);
    const channel = CHANNELS[random.below(CHANNELS.length)]!;
    const subscribes = random.next() < 0.5;
    clients[who]!.request({ type: subscribes ? 'subscribe' : 'unsubscribe', channels: [channel] });
    if (subscribes) held[who]!.add(channel);
    else held[who]!.delete(channel);
    if (done % AT_ONCE === 0) await clients[who]!.ping();
  }
  const wanted = new Set(held.flatMap((channels) => [...channels]));
  const inRedis = async (): Promise<string[]> =>
    ((await scenario.redis.control.pubsub('CHANNELS', 'race.*')) as string[]).sort();
  const matches = async (): Promise<boolean> => {
    expect(await inRedis()).toEqual([...wanted].sort());
    return true;
  };
  await scenario.until(matches, 'Redis knows exactly the wanted channels');
  // The control: the comparison sees a single one too many.
  await clients[0]!.subscribe(['race.extra']);
  await expectToFail(async () => void (await matches()));

  for (const client of clients) await client.ping();
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
