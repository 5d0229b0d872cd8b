import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';
const RATE = 500;

/** A plain channel that only the edge reads, and no oracle: its publications are lost permanently. */
const FILLER = 'filler';

/** Bytes of one filler; some dozens overrun what kernel and Redis buffer for a reader that is stalled. */
const FILLER_BYTES = 60_000;
const MOST_FILLERS = 1_000;

/** How long the edge's event loop is stalled, in ms. */
const STALLED_MS = 3_000;

/** The id of the edge's subscription in CLIENT LIST; undefined after Redis has closed it. */
async function subscriptionId({ redis }: Scenario): Promise<string | undefined> {
  const list = String(await redis.control.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
  return / ?id=(\d+) .* name=\S+-edge-1-subscriber /.exec(list)?.[1];
}

/** Stalls the edge for 3 s, during which Redis closes its link. Resolves after everything has settled. */
async function stall(scenario: Scenario): Promise<void> {
  // Without a proxy, which would read what the edge does not.
  const edge = await scenario.startEdge({ REDIS_URL: scenario.redis.url });
  await scenario.redis.control.config('SET', 'client-output-buffer-limit', 'pubsub 1mb 1mb 1');
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: RATE });
  await scenario.until(() => publisher.acknowledged > 0, 'trades flow');
  await scenario.connect({ channels: [CHANNEL], count: 3 });
  scenario.use(await TestClient.connect(edge.wsUrl, { channels: [FILLER] }));
  const before = await subscriptionId(scenario);
  expect(before).toBeDefined();

  edge.signal('SIGSTOP');
  const stalledAt = performance.now();
  const filler = JSON.stringify('x'.repeat(FILLER_BYTES));
  for (let i = 0; (await subscriptionId(scenario)) !== undefined; i += 1) {
    expect(i, 'fillers until Redis closes the link').toBeLessThan(MOST_FILLERS);
    await scenario.redis.control.publish(FILLER, filler);
  }
  await sleep(STALLED_MS - (performance.now() - stalledAt));
  edge.signal('SIGCONT');

  const isBack = async (): Promise<boolean> => (await subscriptionId(scenario)) !== undefined;
  await scenario.until(isBack, 'the edge has subscribed anew');
  expect(await subscriptionId(scenario)).not.toBe(before);
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + RATE, 'trades continue');
  await publisher.stop();
  const metrics = await edge.metrics();
  expect(metrics.sum('tradewind_edge_redis_link_losses_total')).toBe(1);
}

it('A6: an edge stalls for 3 s and Redis closes its link: missed publications are read from history', async () => {
  await using scenario = await Scenario.start({ edges: 0 });
  await stall(scenario);
  await scenario.verify();
});

it('A6, control: without reading history missed publications are reported, not delivered', async () => {
  await using scenario = await Scenario.start({ edges: 0, env: { EDGE_MAX_HISTORY: '0' } });
  await stall(scenario);
  await scenario.expectComplaints(['told-lost']);
});
