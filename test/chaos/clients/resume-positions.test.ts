import type { Position } from '@tradewind/protocol';
import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { expectToFail } from '../oracle/expect-complaints.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';

/** The size of the history, the longest replay of a node, and the number of publications, in rising order. */
const HISTORY = 300;
const REPLAYED = 400;
const PUBLISHED = 500;

/** The position that a client sends, relative to the channel's end, and its replay or the reason why it gets none. */
interface Case {
  readonly what: string;
  /** Publications that it missed; negative if its position is after the channel's end. */
  readonly missed: number;
  readonly epoch?: string;
  readonly expected: number | string;
}

const RECOVERABLE: readonly Case[] = [
  { what: 'at the tail', missed: 0, expected: 0 },
  { what: 'one behind', missed: 1, expected: 1 },
  { what: 'within', missed: 100, expected: 100 },
  { what: 'the last position with a whole replay', missed: HISTORY, expected: HISTORY },
];

const NOT_RECOVERABLE: readonly Case[] = [
  { what: 'one too far', missed: HISTORY + 1, expected: 'history_trimmed' },
  { what: 'more than the longest replay', missed: REPLAYED + 1, expected: 'history_too_long' },
  { what: 'the beginning', missed: PUBLISHED, expected: 'history_too_long' },
  { what: 'another epoch', missed: 0, epoch: 'other', expected: 'epoch_changed' },
  { what: 'the future', missed: -5, expected: 'offset_ahead' },
];

async function start(maxHistory: number): Promise<Scenario> {
  const scenario = await Scenario.start({ env: { EDGE_MAX_HISTORY: String(maxHistory) } });
  const publisher = scenario.publish({
    ...{ channels: [CHANNEL], ratePerSecond: 0, historySize: HISTORY },
  });
  for (let i = 0; i < PUBLISHED; i += 1) await publisher.publishOne(CHANNEL);
  return scenario;
}

/** Throws unless a client with that position gets the expected answer and replay. */
async function resume(scenario: Scenario, { what, missed, epoch, expected }: Case): Promise<void> {
  const head = scenario.ledger.head(CHANNEL)!;
  const since: Position = { epoch: epoch ?? head.epoch, offset: head.offset - missed };
  await using client = await TestClient.connect(scenario.urls[0]!);
  const { channels } = await client.subscribe([{ channel: CHANNEL, since }]);
  const outcome =
    typeof expected === 'number'
      ? { recovered: true, replayed: expected }
      : { recovered: false, reason: expected };
  expect(channels, what).toMatchObject([{ ...head, ...outcome }]);
  await client.ping();
  const wanted = typeof expected === 'number' ? expected : 0;
  const offsets = Array.from({ length: wanted }, (_, i) => since.offset + 1 + i);
  const given = client.publications.map(({ offset }) => offset);
  expect(given, what).toEqual(offsets);
}

it('B6: a resume within, at the edge of and outside the history, of another epoch, and from the future', async () => {
  await using scenario = await start(REPLAYED);
  for (const each of [...RECOVERABLE, ...NOT_RECOVERABLE]) await resume(scenario, each);
});

it('B6, control: a node that does not read history recovers nobody', async () => {
  await using scenario = await start(0);
  for (const each of RECOVERABLE) await expectToFail(() => resume(scenario, each));
});
