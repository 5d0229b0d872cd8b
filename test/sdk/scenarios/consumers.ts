import type { ClientOptions, UrlSource } from '@tradewind/client';
import type { Fault } from '../driver.ts';
import { holds, pause, rejection, same } from '../scene.ts';
import type { Scenario } from './scenario.ts';

/** Consumers that come, go, abort and are slow. */
export const CONSUMER_SCENARIOS: readonly Scenario[] = [
  {
    number: 8,
    title: 'a second consumer while the first subscribes, and while it waits',
    async run(scene) {
      await scene.driver.publish(scene.name(), 30);
      const client = scene.client();
      client.channel(scene.name(), { history: 20 });
      const followers = [scene.follow(client), scene.follow(client)];
      await scene.live(client);
      await scene.deliver('a', 5);
      followers.push(scene.follow(client));
      await scene.deliver('a', 1);
      await scene.bring(client, 'waiting', 'cut');
      followers.push(scene.follow(client));
      await scene.deliver('a', 3);
      const offsets = followers.map(({ items }) =>
        items.flatMap((item) => (item.kind === 'publication' ? [item.offset!] : [])),
      );
      same('the first two', offsets[1], offsets[0]);
      same('the first', [offsets[0]![0], offsets[0]!.length], [11, 29]);
      same(
        'the third begins with 20 of history',
        offsets[2],
        Array.from({ length: 24 }, (_, i) => i + 16),
      );
      same(
        'the fourth too',
        offsets[3],
        Array.from({ length: 23 }, (_, i) => i + 17),
      );
    },
  },
  {
    number: 14,
    title: 'unsubscribing inside the loop',
    async run(scene) {
      const client = scene.client();
      const channel = client.channel<{ n: number }>(scene.name());
      const other = scene.follow(client);
      const seen: string[] = [];
      const loops = ['break', 'return', 'throw'].map(async (way) => {
        try {
          for await (const { data } of channel) {
            seen.push(`${way} ${data.n}`);
            if (way === 'break') break;
            if (way === 'return') return;
            throw new Error('of the application');
          }
        } catch {
          seen.push('thrown');
        }
      });
      const subscription = channel.subscribe(({ data }) => {
        seen.push(`listener ${data.n}`);
        subscription.unsubscribe();
      });
      await scene.live(client);
      await scene.deliver('a', 3);
      await Promise.all(loops);
      same('seen', seen.sort(), ['break 1', 'listener 1', 'return 1', 'throw 1', 'thrown']);
      same('the other', other.count('publication'), 3);
      await other.end();
      await scene.soon('an unsubscribe after the linger', () =>
        scene.spy.sent.some(({ type }) => type === 'unsubscribe'),
      );
    },
  },
  {
    number: 15,
    title: 'an abort while it connects, waits for welcome, for a token, and between attempts',
    async run(scene) {
      const never = new Promise<string>(() => {});
      const ways: [ClientOptions, UrlSource, Fault][] = [
        [{}, () => never, 'clear'],
        [{ token: () => never }, scene.driver.securedUrl, 'clear'],
        [{}, scene.driver.urls[0]!, 'silent'],
        [{ backoff: { firstMs: 60_000, maxMs: 60_000 } }, scene.driver.urls[0]!, 'refuse'],
      ];
      for (const [options, url, fault] of ways) {
        await scene.both(fault);
        const abort = new AbortController();
        const client = scene.client({ ...options, signal: abort.signal }, url);
        const ready = rejection(client.ready());
        const follower = scene.follow(client);
        await pause(100);
        const start = Date.now();
        abort.abort('enough');
        same('the rejection', await ready, 'enough');
        await follower.until('its end', () => follower.isOver);
        same('the end of the iterator', follower.error, 'enough');
        holds(`${Date.now() - start} ms`, Date.now() - start < 5_000);
        await scene.both('clear');
        await scene.both('accept');
      }
      await scene.soon('sockets are closed', () => scene.spy.open() === 0);
    },
  },
  {
    number: 19,
    title: 'slow consumers with each policy beside a fast one',
    async run(scene) {
      const client = scene.client();
      const slow = () => 1;
      const fast = scene.follow(client);
      const byGap = scene.follow(client, 'a', { buffer: 50, overflow: 'gap' }, slow);
      const paused = scene.follow(client, 'a', { buffer: 50, overflow: 'pause' }, slow);
      const byKey = scene.follow(client, 'a', { overflow: 'latest' }, () => 20);
      const failing = scene.follow(client, 'a', { buffer: 20, overflow: 'error' }, () => 10);
      await scene.live(client);
      let most = 0;
      const watch = setInterval(() => {
        most = Math.max(most, client.stats().buffered);
      }, 5);
      try {
        await scene.deliver('a', 200, []);
        const end = await scene.driver.publish(scene.name(), 200);
        for (const follower of [fast, byGap, paused, byKey])
          await follower.reaches(end, 3 * scene.withinMs);
      } finally {
        clearInterval(watch);
      }
      same('the fast one', fast.count('publication'), 400);
      same('the paused one', [paused.count('publication'), paused.gaps], [400, []]);
      holds('the newest are kept', byKey.count('publication') < 400);
      same('the error', (failing.error as { code?: string }).code, 'slow_consumer');
      // The fast one holds up to 1,024 within one turn.
      holds(`${most} waited`, most <= 1_024 + 50 + 50 + 1 + 20 + 10);
    },
  },
];
