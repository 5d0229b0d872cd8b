// A child process that publishes with the product's own client, as fast as Redis answers. Started by
// measurePublishing, in publish-cost.ts.
import { RedisCommands } from '@tradewind/bus';
import { serveCalls } from '../load/child-calls.ts';
import type { PublishCostCalls, PublishRun, PublishTotals } from './publish-cost-plan.ts';

/**
 * How long keys are remembered, in ms. Short, so that a run pays for forgetting them too: over the hours
 * of a service each key that is written is deleted.
 */
const KEY_WINDOW_MS = 1_000;

/** As ingest asks for by default. */
const HISTORY_TTL_MS = 600_000;

let commands: RedisCommands | undefined;
/** Counts over all runs, so that no key comes twice. */
let publications = 0;

type Publish = (channel: string) => Promise<void>;

function publishBy(redis: RedisCommands, { way, payloadBytes }: PublishRun): Publish {
  const empty = JSON.stringify({ pad: '' });
  const payload = JSON.stringify({ pad: 'x'.repeat(payloadBytes - empty.length) });
  if (way.kind === 'plain') {
    return async (channel) => {
      publications += 1;
      await redis.publish(channel, payload);
    };
  }
  const terms = {
    historySize: way.historySize,
    historyTtlMs: HISTORY_TTL_MS,
    idempotencyWindowMs: KEY_WINDOW_MS,
  };
  return async (channel) => {
    publications += 1;
    const { duplicate } = await redis.publishSequenced({
      ...{ channel, payload, ...terms },
      ...(way.keys ? { idempotencyKey: `bench:${publications}` } : {}),
    });
    if (duplicate) throw new Error('Redis took a new publication for an old one');
  };
}

async function run(plan: PublishRun): Promise<PublishTotals> {
  if (commands === undefined) throw new Error('not connected');
  const publish = publishBy(commands, plan);
  const { channels } = plan;
  const before = publications;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + plan.seconds * 1_000;
  async function publishUntilThen(): Promise<void> {
    while (performance.now() < until) await publish(channels[publications % channels.length]!);
  }
  await Promise.all(Array.from({ length: plan.inFlight }, publishUntilThen));
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    published: publications - before,
    seconds: (performance.now() - startedAt) / 1_000,
    cpuSeconds: (user + system) / 1e6,
  };
}

serveCalls<PublishCostCalls>({
  async connect(url) {
    const linked = Promise.withResolvers<void>();
    commands = new RedisCommands(
      { url, password: undefined, certificateAuthority: undefined, connectionName: 'bench' },
      { available: linked.resolve, unavailable: (cause) => linked.reject(new Error(cause)) },
    );
    commands.start();
    await linked.promise;
    return undefined;
  },
  run,
});
