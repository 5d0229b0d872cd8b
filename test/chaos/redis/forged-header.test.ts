import { expect, it } from 'vitest';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';
const CLIENTS = 3;

/** Publishes headers by hand between publications in order. */
async function forge(
  scenario: Scenario,
  headersOf: (epoch: string, offset: number) => readonly string[],
): Promise<void> {
  await scenario.connect({ channels: [CHANNEL], count: CLIENTS });
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0 });
  for (let i = 0; i < 5; i += 1) await publisher.publishOne(CHANNEL);
  await scenario.settle();
  const { epoch, offset } = scenario.ledger.head(CHANNEL)!;
  for (const message of headersOf(epoch, offset)) {
    await scenario.redis.control.publish(CHANNEL, message);
    await publisher.publishOne(CHANNEL);
  }
}

it('headers that do not follow move nothing: publications in order are delivered, and no others', async () => {
  await using scenario = await Scenario.start();
  await forge(scenario, (epoch, offset) => [
    `@1:${epoch}:${offset + 1_000}:${Date.now()};"far"`,
    `@1:${epoch}:9007199254740991:${Date.now()};"last"`,
    `@1:forged:1:${Date.now()};"another epoch"`,
    `@1:${epoch}:${offset}:${Date.now()};"again"`,
    `@9:${epoch}:${offset + 1}:${Date.now()};"unknown version"`,
    '@1:;"no header"',
  ]);
  await scenario.verify();
  expect(scenario.count('beginnings'), 'the one that begins the channel').toBe(CLIENTS);
});

it('control: a header that follows is believed, so a user who may PUBLISH on the channel can do harm', async () => {
  await using scenario = await Scenario.start();
  await forge(scenario, (epoch, offset) => [`@1:${epoch}:${offset + 1}:${Date.now()};"next"`]);
  await scenario.expectComplaints([
    ...(['unknown-publication', 'wrong-payload', 'bad-gap', 'silent-hole', 'missing'] as const),
    ...(['duplicate', 'reorder', 'bad-resync', 'told-lost', 'epochs-told', 'beyond'] as const),
  ]);
});
