import type { ClientOptions, UrlSource } from '@tradewind/client';
import type { Fault } from './driver.ts';
import type { Follower } from './follower.ts';
import { holds, pause, rejection, type Scene, same } from './scene.ts';

export interface Scenario {
  /** Its number in the list of 25. */
  readonly number: number;
  readonly title: string;
  run(scene: Scene): Promise<void>;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    number: 3,
    title: 'a network that drops everything in silence',
    async run(scene) {
      const client = scene.client({ heartbeat: { pingMs: 500, timeoutMs: 1_000 } });
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      await scene.both('silent');
      const waiting = scene.until(client, 'waiting', 6_000);
      const end = await scene.driver.publish(scene.name(), 5);
      const state = await waiting;
      holds(
        'the cause is shown',
        state.name === 'waiting' && state.cause.code === 'connection_lost',
      );
      await scene.both('clear');
      await follower.reaches(end);
      same('gaps', follower.gaps, []);
    },
  },
  {
    number: 4,
    title: 'a captive portal answers five upgrades with a page',
    async run(scene) {
      await scene.both('portal');
      const client = scene.client();
      const follower = scene.follow(client);
      let failures = 0;
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const state = await scene.until(client, 'waiting');
        holds('a ConnectError', state.name === 'waiting' && state.cause.code === 'connect_failed');
        failures += 1;
        if (attempt < 4) await scene.until(client, 'connecting');
      }
      await scene.both('edge');
      await scene.live(client);
      await scene.deliver('a', 3);
      same('failures', failures, 5);
      same('gaps', follower.gaps, []);
    },
  },
  {
    number: 5,
    title: 'pings keep a quiet connection',
    async run(scene) {
      const client = scene.client({ heartbeat: { pingMs: 100, timeoutMs: 5_000 } });
      const follower = scene.follow(client);
      await scene.live(client);
      const before = scene.spy.sent.length;
      await pause(1_000);
      const pings = scene.spy.sent.slice(before).filter(({ message }) => message.type === 'ping');
      holds(`${pings.length} pings in a second`, pings.length >= 3);
      await scene.deliver('a', 1, [follower]);
      same('sockets', scene.spy.sockets.length, 1);
    },
  },
  {
    number: 6,
    title: 'a network that drops what the client sends',
    async run(scene) {
      const client = scene.client({ heartbeat: { pingMs: 500, timeoutMs: 1_000 } });
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      await scene.both('deaf');
      await scene.until(client, 'waiting', 6_000);
      await scene.both('clear');
      await scene.deliver('a', 5);
      same('gaps', follower.gaps, []);
    },
  },
  {
    number: 7,
    title: 'a move while 300 channels are being subscribed to',
    async run(scene) {
      for (let i = 0; i < 300; i += 1) await scene.driver.publish(scene.name(i), 1);
      const client = scene.client();
      const followers = Array.from({ length: 300 }, (_, i) => scene.follow(client, i));
      await client.ready();
      await scene.both('shed');
      await Promise.all(Array.from({ length: 300 }, (_, i) => scene.live(client, i)));
      await new Promise<void>((resolve) => {
        const look = (): boolean =>
          client.state.name === 'online' && client.state.leaving === undefined;
        if (look()) return resolve();
        client.on('state', () => look() && resolve());
      });
      for (const [i, follower] of followers.entries()) {
        await follower.reaches(await scene.driver.publish(scene.name(i), 2));
      }
      for (let i = 0; i < 300; i += 1) {
        holds(
          `channel ${i} once a socket: ${scene.subscribes(i)}`,
          scene.subscribes(i).every((count) => count <= 1),
        );
      }
      same(
        'losses',
        followers.flatMap(({ gaps }) => gaps),
        [],
      );
    },
  },
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
      holds(
        'one subscribe a connection',
        scene.subscribes().every((count) => count <= 1),
      );
    },
  },
  {
    number: 9,
    title: 'a token provider that rejects three times',
    async run(scene) {
      const calls: string[] = [];
      const client = scene.client(
        {
          token: async ({ reason, attempt }) => {
            calls.push(`${reason} ${attempt}`);
            if (calls.length < 4) throw new Error('no network');
            return await scene.driver.token('good');
          },
        },
        scene.driver.securedUrl,
      );
      scene.follow(client);
      const state = await scene.until(client, 'waiting');
      holds('a TokenError', state.name === 'waiting' && state.cause.code === 'token_failed');
      await scene.live(client);
      await scene.deliver('a', 3);
      same('calls', calls, ['connect 0', 'connect 1', 'connect 2', 'connect 3']);
    },
  },
  {
    number: 10,
    title: 'a token provider that hangs, and one that answers late',
    async run(scene) {
      let calls = 0;
      const client = scene.client(
        {
          tokenTimeoutMs: 200,
          token: async () => {
            calls += 1;
            if (calls === 1) await new Promise(() => {});
            if (calls === 2) {
              await pause(600);
              return 'late, and not a token';
            }
            return await scene.driver.token('good');
          },
        },
        scene.driver.securedUrl,
      );
      scene.follow(client);
      await scene.until(client, 'waiting');
      same('sockets without a token', scene.spy.sockets.length, 0);
      await scene.live(client);
      await scene.deliver('a', 3);
      same(
        'tokens that were sent',
        scene.spy.sent.filter(({ message }) => message.type === 'auth').length,
        1,
      );
    },
  },
  {
    number: 11,
    title: 'tokens that are refused once, and for good',
    async run(scene) {
      const reasons: string[] = [];
      let kinds: ('good' | 'forged' | 'expired')[] = ['forged', 'good'];
      const options: ClientOptions = {
        token: async ({ reason }) => {
          reasons.push(reason);
          return await scene.driver.token(kinds.shift() ?? 'forged');
        },
      };
      const client = scene.client(options, scene.driver.securedUrl);
      scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 3);
      same('reasons', reasons, ['connect', 'refused']);
      kinds = ['expired', 'good'];
      client.pause();
      const end = await scene.driver.publish(scene.name(), 3);
      client.resume();
      await scene.followers[0]!.reaches(end);
      kinds = [];
      const second = scene.client(options, scene.driver.securedUrl);
      const follower = scene.follow(second, 'b');
      await scene.until(second, 'closed');
      await follower.until('its end', () => follower.isOver);
      same('the error', (follower.error as { code?: string }).code, 'unauthorized');
    },
  },
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
      const start = Date.now();
      while (!scene.spy.sent.some(({ message }) => message.type === 'unsubscribe')) {
        holds('an unsubscribe after the linger', Date.now() - start < 10_000);
        await pause(10);
      }
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
        holds(`${Date.now() - start} ms`, Date.now() - start < 1_000);
        await scene.both('clear');
        await scene.both('accept');
      }
      const start = Date.now();
      while (scene.spy.open() > 0) {
        holds('sockets are closed', Date.now() - start < 10_000);
        await pause(10);
      }
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
      const requests = scene.spy.sent.filter(({ message }) => message.type === 'subscribe');
      const largest = Math.max(...requests.map(({ message }) => JSON.stringify(message).length));
      const { limits } = await client.ready();
      holds(`${largest} bytes`, largest <= limits.maxMessageBytes);
      for (const socket of new Set(requests.map((request) => request.socket))) {
        const asked = requests
          .filter((request) => request.socket === socket)
          .flatMap(({ message }) => message.channels!)
          .map((each) => (typeof each === 'string' ? each : each.channel));
        same('a channel is asked for once a socket', new Set(asked).size, asked.length);
      }
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
  {
    number: 20,
    title: 'an edge is killed under its clients',
    async run(scene) {
      const clients = Array.from({ length: 20 }, () => scene.client());
      for (const client of clients) scene.follow(client);
      for (const client of clients) await scene.live(client);
      await scene.deliver('a', 5);
      await scene.driver.fault(0, 'kill');
      await scene.deliver('a', 5);
      await scene.driver.fault(0, 'start');
      await scene.deliver('a', 5);
      same(
        'losses',
        scene.followers.flatMap(({ gaps }) => gaps),
        [],
      );
    },
  },
  {
    number: 21,
    title: 'a server that accepts and drops, twenty times',
    async run(scene) {
      const client = scene.client({ backoff: { firstMs: 5, maxMs: 80, stableMs: 5_000 } });
      const follower = scene.follow(client);
      const attempts: number[] = [];
      client.on('state', ({ state }) => {
        if (state.name === 'waiting') attempts.push(state.attempt);
      });
      for (let i = 0; i < 20; i += 1) {
        await scene.until(client, 'online');
        await scene.bring(client, 'waiting', 'reset');
      }
      // It may have come to the second edge before that one was reset.
      holds('twenty attempts failed', attempts.length >= 20);
      same(
        'attempts are not forgotten',
        attempts,
        attempts.map((_, i) => i),
      );
      await scene.live(client);
      await scene.deliver('a', 3, [follower]);
    },
  },
  {
    number: 22,
    title: 'a socket that does not finish closing, and handshakes that are answered too late',
    async run(scene) {
      const client = scene.client({
        heartbeat: { pingMs: 300, timeoutMs: 600 },
        connectTimeoutMs: 1_000,
      });
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      // The close frame is not answered either. The other edge is well.
      const first = scene.edge;
      const silenced = scene.spy.sockets.at(-1)!;
      await Promise.all([scene.until(client, 'waiting'), scene.driver.fault(first, 'silent')]);
      await scene.live(client);
      holds(`the old socket is in state ${silenced.readyState}`, silenced.readyState >= 2);
      await scene.deliver('a', 5);
      await scene.both('clear');
      await scene.both('late');
      for (let attempt = 0; attempt < 3; attempt += 1) {
        if (attempt === 0) await scene.bring(client, 'waiting', 'reset');
        else await scene.until(client, 'waiting');
        await scene.until(client, 'connecting');
      }
      const end = await scene.driver.publish(scene.name(), 5);
      await scene.both('clear');
      await follower.reaches(end, scene.withinMs);
      same('gaps', follower.gaps, []);
      same('publications', follower.count('publication'), 15);
      same('the most sockets at a time', scene.spy.most, 1);
      await scene.settlesOnOneSocket();
    },
  },
  {
    number: 25,
    title: 'faults by chance',
    async run(scene) {
      const client = scene.client({ heartbeat: { pingMs: 300, timeoutMs: 1_000 } });
      const random = (below: number): number => Math.floor(scene.random() * below);
      for (let i = 0; i < 4; i += 1) scene.follow(client, i);
      scene.follow(client, 0, { buffer: 8, overflow: 'gap' }, () => random(4));
      scene.follow(client, 1, { buffer: 8, overflow: 'pause' }, () => random(4));
      for (let i = 0; i < 4; i += 1) await scene.live(client, i);
      const faults = [
        ...(['cut', 'reset', 'shed', 'shed', 'silent', 'deaf', 'slow'] as const),
        ...([
          'publish',
          'publish',
          'publish',
          'storm',
          'storm',
          'pause',
          'move',
          'forget',
        ] as const),
        // They take seconds.
        ...(scene.random() < 0.5 ? (['kill', 'redis'] as const) : []),
      ];
      let extra: Follower | undefined;
      for (let step = 0; step < 25; step += 1) {
        const fault = faults[random(faults.length)]!;
        const edge = random(scene.driver.urls.length);
        if (fault === 'storm') {
          await extra?.end();
          extra = scene.follow(client, random(4));
        } else if (fault === 'pause') {
          client.pause();
          await scene.driver.publish(scene.name(random(4)), 3);
          client.resume();
        } else if (fault === 'move') client.reconnect();
        else if (fault === 'forget') await scene.driver.forget(scene.name(random(4)));
        else if (fault === 'redis') await scene.driver.restartRedis();
        else if (fault !== 'publish') await scene.driver.fault(edge, fault);
        for (let i = 0; i < 4; i += 1) await scene.driver.publish(scene.name(i), 1 + random(4));
        await pause(random(80));
        if (fault === 'kill') await scene.driver.fault(edge, 'start');
        if (fault === 'silent' || fault === 'deaf' || fault === 'slow') {
          await pause(random(600));
          await scene.both('clear');
        }
      }
      await scene.both('clear');
      await extra?.end();
      for (let i = 0; i < 4; i += 1) {
        const end = await scene.driver.publish(scene.name(i), 1);
        for (const follower of scene.followers) {
          if (!follower.isOver && follower.channel === scene.name(i)) {
            await follower.reaches(end, 3 * scene.withinMs);
          }
        }
      }
    },
  },
];
