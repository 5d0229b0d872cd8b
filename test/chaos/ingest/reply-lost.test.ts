import { it } from 'vitest';
import { linksOf } from '../../support/faults/tcp-fault-proxy.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';

/** Cuts the publisher's link several times after Redis has executed and before it has answered. */
async function loseReplies(scenario: Scenario, onUnknown: 'repeat' | 'repeat-without-key') {
  await scenario.connect({ channels: [CHANNEL], count: 3 });
  const via = scenario.scriptPublisher(scenario.proxy.url);
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 200, via, onUnknown });
  for (let round = 1; round <= 5; round += 1) {
    const { acknowledged } = publisher;
    await scenario.until(() => publisher.acknowledged > acknowledged + 10, 'trades flow');
    const isScript = ([name = '']: readonly string[]): boolean => /^(evalsha|fcall)$/i.test(name);
    const links = linksOf('commands', 'chaos');
    await scenario.proxy.dropReplyThenCut(isScript, { links }).sprung;
  }
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 10, 'trades flow again');
  await publisher.stop();
}

it('A8: a reply is lost after Redis has published: each trade is published once', async () => {
  await using scenario = await Scenario.start();
  await loseReplies(scenario, 'repeat');
  await scenario.verify();
});

it('A8, control: without idempotency keys it is published twice', async () => {
  await using scenario = await Scenario.start();
  await loseReplies(scenario, 'repeat-without-key');
  // The first of the two is the one whose answer was lost.
  await scenario.expectComplaints(['duplicate', 'unknown-publication']);
});
