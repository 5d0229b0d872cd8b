import type { Position } from '@tradewind/protocol';
import { expect, it } from 'vitest';
import { TestClient } from '../support/client.ts';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';

/** What the publisher's history holds. */
const HISTORY = 1_000;
const PUBLISHED = 1_100;

it('B6: a resume within, at the edge of and outside the history, of another epoch, and from the future', async () => {
  await using scenario = await Scenario.start();
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0 });
  for (let i = 0; i < PUBLISHED; i += 1) await publisher.publishOne(CHANNEL);
  const head = scenario.ledger.head(CHANNEL)!;
  const at = (offset: number): Position => ({ epoch: head.epoch, offset });
  const maxHistory = (await TestClient.connect(scenario.urls[0]!)).welcome.limits.maxHistory;
  const reach = Math.min(maxHistory, HISTORY);

  const cases: readonly (readonly [string, Position, number | 'not recovered'])[] = [
    ['at the tail', at(head.offset), 0],
    ['one behind', at(head.offset - 1), 1],
    ['within', at(head.offset - 100), 100],
    ['the last that is whole', at(head.offset - reach), reach],
    ['one too far', at(head.offset - HISTORY - 1), 'not recovered'],
    ['the beginning', at(0), 'not recovered'],
    ['another epoch', { epoch: 'other', offset: head.offset }, 'not recovered'],
    ['the future', at(head.offset + 5), 'not recovered'],
  ];
  for (const [what, since, expected] of cases) {
    await using client = await TestClient.connect(scenario.urls[0]!);
    const { channels } = await client.subscribe([{ channel: CHANNEL, since }]);
    const recovered = expected !== 'not recovered';
    const replayed = recovered ? expected : 0;
    expect(channels, what).toMatchObject([{ ...head, recovered }]);
    await client.waitFor(({ publications }) => publications.length === replayed);
    await client.ping();
    const wanted = Array.from({ length: replayed }, (_, i) => since.offset + 1 + i);
    expect(
      client.publications.map(({ offset }) => offset),
      what,
    ).toEqual(wanted);
  }
});
