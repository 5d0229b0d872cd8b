import { PUBLISH_SCRIPT, publishArguments, publishKeys } from '@tradewind/bus';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { IS_CLUSTER } from '../../support/redis/redis-mode.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const MAX_PUBLICATION_BYTES = 1_024;

let tier: Tier;

beforeAll(async () => {
  tier = await startTier({
    edges: 2,
    env: { EDGE_WORKERS: '2', EDGE_MAX_PUBLICATION_BYTES: String(MAX_PUBLICATION_BYTES) },
  });
});

afterAll(async () => {
  await tier?.[Symbol.asyncDispose]();
});

const UNREADABLE = Buffer.from([0xff]);
const TOO_LARGE = Buffer.from(JSON.stringify('x'.repeat(MAX_PUBLICATION_BYTES)));

/** Publishes by the script like a backend. Returns the channel's epoch. */
async function publish(channel: string, payloads: readonly (Buffer | string)[]): Promise<string> {
  let epoch = '';
  for (const payload of payloads) {
    const limits = { historySize: 100, historyTtlMs: 60_000, idempotencyWindowMs: 0 };
    const args = publishArguments({ channel, payload, ...limits }, IS_CLUSTER);
    const keys = publishKeys(channel);
    const reply = await tier.backend.eval(PUBLISH_SCRIPT.text, keys.length, ...keys, ...args);
    [epoch] = reply as [string];
  }
  return epoch;
}

/** Everything of a channel that a client received, in order: offsets, and gaps. */
function story(client: TestClient, channel: string): string[] {
  const gaps = client.controlsOf('gap').filter((gap) => gap.channel === channel);
  return [...client.publicationsOn(channel), ...gaps]
    .sort((one, other) => one.index - other.index)
    .map((one) => ('reason' in one ? `${one.reason} ${one.from}..${one.to}` : `${one.offset}`));
}

async function resume(edge: number, channel: string, since: { epoch: string; offset: number }) {
  await using client = await TestClient.connect(tier.edges[edge]!.wsUrl);
  const { channels } = await client.subscribe([{ channel, since }]);
  await client.ping();
  return { answer: channels[0], told: story(client, channel) };
}

it('a resume across undeliverable publications reports them in their place, on the node that received them live and on one that reads them', async () => {
  const channel = 'UNDELIVERABLE.trade';
  await using live = await TestClient.connect(tier.edges[0]!.wsUrl, { channels: [channel] });
  const epoch = await publish(channel, ['1', '2', UNREADABLE, '4', TOO_LARGE, UNREADABLE, '7']);
  const rest = ['unreadable 3..3', '4', 'too_large 5..5', 'unreadable 6..6', '7'];
  await live.waitFor(() => live.publicationsOn(channel).length === 4);
  expect(story(live, channel)).toEqual(['1', '2', ...rest]);
  for (const edge of [0, 1]) {
    const { answer, told } = await resume(edge, channel, { epoch, offset: 2 });
    expect(answer).toMatchObject({ recovered: true, replayed: 2, offset: 7 });
    expect(told).toEqual(rest);
    const within = await resume(edge, channel, { epoch, offset: 5 });
    expect(within.answer).toMatchObject({ recovered: true, replayed: 1 });
    expect(within.told).toEqual(rest.slice(-2));
  }
});

it('a resume across entries that were deleted from the history reports those, and replays the rest', async () => {
  const channel = 'DELETED.trade';
  const epoch = await publish(channel, ['1', '2', '3', '4', '5', '6', '7', '8', '9']);
  await tier.backend.xdel(`{${channel}}:log`, '3-0', '6-0', '7-0', '9-0');
  const all = ['trimmed 3..3', '4', '5', 'trimmed 6..7', '8', 'trimmed 9..9'];
  const { answer, told } = await resume(0, channel, { epoch, offset: 2 });
  expect(answer).toMatchObject({ recovered: true, replayed: 3, offset: 9 });
  expect(told).toEqual(all);
});

it('control: entries trimmed from the beginning of the history are no gap, and the resume is not recovered', async () => {
  const channel = 'TRIMMED.trade';
  const epoch = await publish(channel, ['1', '2', '3', '4']);
  await tier.backend.xtrim(`{${channel}}:log`, 'MAXLEN', 1);
  const { answer, told } = await resume(0, channel, { epoch, offset: 1 });
  expect(answer).toMatchObject({ recovered: false, reason: 'history_trimmed', replayed: 0 });
  expect(told).toEqual([]);
});
