import { nodeStateKey, readNodeState } from '@tradewind/bus';
import { connect, type Publication } from '@tradewind/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { ScriptPublisher } from '../../support/clients/script-publisher.ts';
import { IS_CLUSTER } from '../../support/redis/redis-mode.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

/** More than a hundred in each interval of 250 ms, on a quiet machine. */
const PUBLICATIONS = 1_500;
const HISTORY = 100;

let tier: Tier;
let publisher: ScriptPublisher;

beforeAll(async () => {
  tier = await startTier({ edges: 2, env: { EDGE_WORKERS: '2' } });
  publisher = new ScriptPublisher(tier.backend, HISTORY);
});
afterAll(() => tier?.[Symbol.asyncDispose]());

/** Reads a channel by the SDK as one that wants the latest, or all. */
function follow(wsUrl: string, channel: string, everyMs?: 100 | 250) {
  const client = connect(wsUrl);
  const got: (Publication<{ n: number }> & { readonly at: number })[] = [];
  const gaps: unknown[] = [];
  client.on('gap', (gap) => gaps.push(gap));
  const options = everyMs === undefined ? {} : { latest: { everyMs } };
  const { ready } = client
    .channel<{ n: number }>(channel, options)
    .subscribe((publication) => got.push({ ...publication, at: performance.now() }));
  return { client, got, gaps, ready };
}

it('brings those who want the latest the newest of each interval, beside others that have all', async () => {
  const channel = 'BTC.trade';
  const [one, two] = tier.edges.map(({ wsUrl }) => wsUrl) as [string, string];
  const latest = [
    ...[follow(one, channel, 250), follow(one, channel, 250)],
    ...[follow(two, channel, 250), follow(two, channel, 100)],
  ];
  const all = [follow(one, channel), follow(two, channel)];
  await Promise.all([...latest, ...all].map(({ ready }) => ready));
  const startedAt = performance.now();
  for (let n = 1; n <= PUBLICATIONS; n += 1) await publisher.publish(channel);
  for (const { got } of [...latest, ...all]) {
    await eventually(() => got.at(-1)?.data.n === PUBLICATIONS);
  }
  for (const { got, gaps } of all) {
    expect(got.map(({ data }) => data.n)).toEqual(
      Array.from({ length: PUBLICATIONS }, (_, i) => i + 1),
    );
    expect(gaps).toEqual([]);
  }
  // Operators see on the console what edges do not send.
  await eventually(async () => {
    const state = readNodeState(await tier.backend.get(nodeStateKey('edge-1', IS_CLUSTER)));
    return state?.figures.latest === 2 && (state.figures.skipped ?? 0) > 0;
  });
  for (const [i, { got, gaps }] of latest.entries()) {
    const everyMs = i === 3 ? 100 : 250;
    expect(got[0]).toMatchObject({ data: { n: 1 } });
    // Delivered and skipped add up to what was published, and no offset comes twice or out of order.
    let last = 0;
    for (const { data, skipped = 0 } of got) {
      expect(data.n - last - 1).toBe(skipped);
      last = data.n;
    }
    expect(gaps).toEqual([]);
    // One in each window, of which the first and the last are cut.
    const tookMs = got.at(-1)!.at - startedAt;
    expect(got.length).toBeLessThanOrEqual(tookMs / everyMs + 3);
    for (const [at, { at: ms }] of got.slice(1).entries()) {
      expect(ms - got[at]!.at).toBeLessThan(everyMs + BUSY_MACHINE_MS);
    }
  }
  const scraped = await Promise.all(
    tier.edges.map(async ({ adminUrl }) => await (await fetch(`${adminUrl}/metrics`)).text()),
  );
  expect(scraped[0]).toMatch(/^tradewind_edge_latest_subscriptions(\{.*\})? 2$/m);
  expect(scraped[1]).toMatch(/^tradewind_edge_skipped_total(\{.*\})? [1-9]/m);
  for (const { client } of [...latest, ...all]) await client.close();
});

it('continues on another node with the newest alone, also where much more was missed than history keeps', async () => {
  const channel = 'ETH.trade';
  const [first, second] = tier.edges.map(({ wsUrl }) => wsUrl) as [string, string];
  const latest = { everyMs: 250 };
  const client = await TestClient.connect(first);
  await client.subscribe([{ channel, latest }]);
  await publisher.publish(channel);
  await client.waitFor(({ publications }) => publications.length === 1);
  await client.terminate();
  for (let n = 2; n <= 5 * HISTORY; n += 1) await publisher.publish(channel);
  const since = publisher.positionOf(channel, 1)!;
  const next = await TestClient.connect(second);
  const answer = await next.subscribe([{ channel, since, latest }]);
  expect(answer.channels).toMatchObject([
    { recovered: true, replayed: 1, skipped: 5 * HISTORY - 2, latest },
  ]);
  await publisher.publish(channel);
  await next.waitFor(({ publications }) => publications.length === 2);
  const last = publisher.endOf(channel)!.offset;
  expect(next.publications.map(({ offset }) => offset)).toEqual([last - 1, last]);
  // Who wants all is told that history does not reach back so far.
  const control = await TestClient.connect(second);
  const refused = await control.subscribe([{ channel, since }]);
  expect(refused.channels).toMatchObject([{ recovered: false, reason: 'history_trimmed' }]);
  await next.close();
  await control.close();
});
