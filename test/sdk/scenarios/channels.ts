import { holds, pause, same } from '../scene.ts';
import type { Scenario } from './scenario.ts';

/** What happens to channels: new epochs, histories that are too short, very many of them. */
export const CHANNEL_SCENARIOS: readonly Scenario[] = [
  {
    number: 12,
    title: 'a new epoch while the client is away',
    async run(scene) {
      const kept = new Map<string, unknown>();
      const client = scene.client({
        positions: {
          load: () => undefined,
          save: (changed) => {
            for (const [channel, position] of changed) kept.set(channel, position);
          },
        },
      });
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      client.pause();
      await scene.driver.forget(scene.name());
      const end = await scene.driver.publish(scene.name(), 2);
      client.resume();
      await follower.until('a resync', () => follower.count('resync') === 1);
      await scene.live(client);
      await scene.deliver('a', 2);
      await client.close();
      same('the position that is kept', kept.get(scene.name()), { epoch: end.epoch, offset: 4 });
    },
  },
  {
    number: 13,
    title: 'a history that does not reach back to where the client was',
    async run(scene) {
      const client = scene.client();
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      client.pause();
      await scene.driver.publish(scene.name(), 100, 10);
      client.resume();
      await follower.until('a gap', () => follower.count('gap') > 0);
      await scene.deliver('a', 2);
      const lost = follower.items.reduce(
        (sum, item) => sum + (item.kind === 'gap' ? item.lost! : 0),
        0,
      );
      const seen = follower.count('publication');
      same('seen and lost', seen + lost, 107);
      const next = follower.items.find(
        (item) => item.kind === 'publication' && item.missed !== undefined,
      );
      holds(
        'the next publication carries it',
        next?.kind === 'publication' && next.missed!.count === lost,
      );
    },
  },
  {
    number: 16,
    title: '10,000 channels, and a new connection under them',
    async run(scene) {
      const CHANNELS = 10_000;
      const client = scene.client();
      const names = Array.from({ length: CHANNELS }, (_, i) => scene.name(i));
      let seen = 0;
      for (const name of names) client.channel(name).subscribe(() => (seen += 1));
      const live = async (): Promise<void> => {
        const start = Date.now();
        while (names.some((name) => client.channel(name).state.name !== 'live')) {
          holds('all channels live', Date.now() - start < 3 * scene.withinMs);
          await pause(50);
        }
      };
      await live();
      const follower = scene.follow(client, 77);
      await scene.deliver(77, 3);
      await scene.bring(client, 'waiting', 'reset');
      await scene.deliver(77, 3);
      await live();
      same('losses', follower.gaps, []);
      same('seen', seen, 6);
      const requests = scene.spy.sent.filter(({ type }) => type === 'subscribe');
      const largest = Math.max(...requests.map((request) => JSON.stringify(request).length));
      const { limits } = await client.ready();
      holds(`${largest} bytes`, largest <= limits.maxMessageBytes);
    },
  },
];
