import type { Follower } from '../follower.ts';
import { pause } from '../scene.ts';
import type { Scenario } from './scenario.ts';

/** Of the last one its consumers want the latest, except those that come by a storm. */
const CHANNELS = 5;
const LATEST = CHANNELS - 1;

/** Faults by chance. */
export const CHANCE_SCENARIOS: readonly Scenario[] = [
  {
    number: 25,
    title: 'faults by chance',
    async run(scene) {
      const client = scene.client({ heartbeat: { pingMs: 300, timeoutMs: 1_000 } });
      const random = (below: number): number => Math.floor(scene.random() * below);
      for (let i = 0; i < LATEST; i += 1) scene.follow(client, i);
      for (const everyMs of [100, 250] as const) scene.followLatest(client, LATEST, everyMs);
      // Drawn before anything comes: otherwise the choices below would depend on how much had come.
      const delays = Array.from({ length: 64 }, () => random(4));
      let read = 0;
      const delayMs = (): number => delays[read++ % delays.length]!;
      scene.follow(client, 0, { buffer: 8, overflow: 'gap' }, delayMs);
      scene.follow(client, 1, { buffer: 8, overflow: 'pause' }, delayMs);
      for (let i = 0; i < CHANNELS; i += 1) await scene.live(client, i);
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
          const channel = random(CHANNELS);
          const isLatest = channel === LATEST;
          extra = isLatest ? scene.followLatest(client, channel) : scene.follow(client, channel);
        } else if (fault === 'pause') {
          client.pause();
          await scene.driver.publish(scene.name(random(CHANNELS)), 3);
          client.resume();
        } else if (fault === 'move') client.reconnect();
        else if (fault === 'forget') await scene.driver.forget(scene.name(random(CHANNELS)));
        else if (fault === 'redis') await scene.driver.restartRedis();
        else if (fault !== 'publish') await scene.driver.fault(edge, fault);
        for (let i = 0; i < CHANNELS; i += 1)
          await scene.driver.publish(scene.name(i), 1 + random(4));
        await pause(random(80));
        if (fault === 'kill') await scene.driver.fault(edge, 'start');
        if (fault === 'silent' || fault === 'deaf' || fault === 'slow') {
          await pause(random(600));
          await scene.both('clear');
        }
      }
      await scene.both('clear');
      await extra?.end();
      for (let i = 0; i < CHANNELS; i += 1) {
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
