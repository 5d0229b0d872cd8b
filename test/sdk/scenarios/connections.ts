import { holds, same } from '../scene.ts';
import type { Scenario } from './scenario.ts';

/** What happens to connections: silence, portals, moves, and edges that end. */
export const CONNECTION_SCENARIOS: readonly Scenario[] = [
  {
    number: 3,
    title: 'a network that drops everything in silence',
    async run(scene) {
      const client = scene.client({ heartbeat: { pingMs: 500, timeoutMs: 1_000 } });
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      await scene.both('silent');
      const waiting = scene.until(client, 'waiting');
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
      const pings = () => scene.spy.sent.slice(before).filter(({ type }) => type === 'ping');
      await scene.soon('three pings', () => pings().length >= 3);
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
      await scene.until(client, 'waiting');
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
      same(
        'losses',
        followers.flatMap(({ gaps }) => gaps),
        [],
      );
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
];
