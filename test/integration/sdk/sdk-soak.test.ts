import { connect } from '@tradewind/client';
import { expect, it } from 'vitest';
import type { Fault } from '../../sdk/driver.ts';
import { pause, Scene } from '../../sdk/scene.ts';
import { startTierDriver } from '../../sdk/tier-driver.ts';
import { IS_LONG, shortOrLong } from '../../support/suite/length.ts';
import { createRandom } from '../../support/suite/random.ts';
import { eventually } from '../../support/suite/wait.ts';

const SEED = Number(process.env.SDK_SEED ?? Date.now() % 1_000_000);
const CLIENTS = Number(process.env.SOAK_CLIENTS ?? shortOrLong(30, 500));
const DURATION_MS = 1_000 * Number(process.env.SOAK_SECONDS ?? shortOrLong(10, 600));

const CHANNELS = 4;

/** What a client may hold at the end more than at the first third, in bytes: far less than what it was sent. */
const GROWTH_BYTES = 100_000;

/** How long the other side may take to end all connections, ms. */
const END_WITHIN_MS = 60_000;

const NOTHING = { sockets: 0, connections: 0, ownTimers: 0 };

/** Counts those that have not ended. */
class CountedSocket extends WebSocket {
  static open = 0;

  constructor(...args: ConstructorParameters<typeof WebSocket>) {
    super(...args);
    CountedSocket.open += 1;
    this.addEventListener('close', () => {
      CountedSocket.open -= 1;
    });
  }
}

it(
  `keeps its promise to ${CLIENTS} clients through faults, SDK_SEED=${SEED}`,
  async () => {
    await using driver = await startTierDriver();
    const timersBefore = timers();
    const random = createRandom(SEED);
    const scene = new Scene({ connect, WebSocket }, driver, `soak-${SEED}`, random.next, 60_000);
    const clients = Array.from({ length: CLIENTS }, () =>
      scene.client({
        heartbeat: { pingMs: 1_000, timeoutMs: 3_000 },
        // The spy keeps every socket.
        webSocket: CountedSocket as never,
      }),
    );
    for (const [i, client] of clients.entries()) {
      scene.follow(client, i % CHANNELS, {}, () => 0, 10);
    }
    for (const [i, client] of clients.entries()) await scene.live(client, i % CHANNELS);

    const heaps: number[] = [];
    const faults: readonly (Fault | 'redis')[] = [
      ...(['cut', 'reset', 'shed', 'silent', 'deaf', 'slow', 'kill', 'drain', 'redis'] as const),
    ];
    for (const end = Date.now() + DURATION_MS; Date.now() < end; ) {
      const fault = faults[random.below(faults.length)]!;
      const edge = random.below(driver.urls.length);
      const acting = fault === 'redis' ? driver.restartRedis() : driver.fault(edge, fault);
      // What Redis is asked while it ends is asked again, and would be published twice.
      if (fault === 'redis') await acting;
      const lasts = fault === 'silent' || fault === 'deaf' || fault === 'slow';
      for (
        const until = Date.now() + (lasts ? 3_000 : 1_000);
        Date.now() < until;
        await pause(20)
      ) {
        await driver.publish(scene.name(random.below(CHANNELS)), 1);
      }
      await acting;
      if (fault === 'kill' || fault === 'drain') await driver.fault(edge, 'start');
      await scene.both('clear');
      heaps.push(process.memoryUsage().heapUsed);
    }
    for (let i = 0; i < CHANNELS; i += 1) {
      const end = await driver.publish(scene.name(i), 1);
      for (const follower of scene.followers) {
        if (follower.channel === scene.name(i)) await follower.reaches(end, scene.withinMs);
      }
    }
    expect(await scene.end()).toEqual([]);
    const isOver = async (): Promise<void> => {
      const left = [CountedSocket.open, await driver.connections(), timers() - timersBefore];
      const [sockets, connections, ownTimers] = left as [number, number, number];
      expect({ sockets, connections, ownTimers: Math.max(0, ownTimers) }).toEqual(NOTHING);
    };
    await eventually(isOver, { deadlineMs: END_WITHIN_MS });
    // Nothing collects garbage in so short a time.
    if (!IS_LONG) return;
    const third = heaps.slice(0, Math.ceil(heaps.length / 3));
    expect(Math.min(...heaps.slice(-3)) - Math.max(...third)).toBeLessThan(CLIENTS * GROWTH_BYTES);
  },
  DURATION_MS + 240_000,
);

/** Timers of this process that would keep it alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
}
