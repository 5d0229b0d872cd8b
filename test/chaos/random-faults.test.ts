import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { TestEdge } from '../support/service.ts';
import { linksOf } from '../support/tcp-fault-proxy.ts';
import { Scenario } from './scenario.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade', 'SOL.trade', 'XRP.trade'];
const CLIENTS = 60;
const LASTS_MS = 60_000;

/** The longest pause between two faults, and the longest that one lasts, in ms. */
const LONGEST_MS = 3_000;

/** Nodes that were killed; one of three is always left. */
const killed = new WeakSet<TestEdge>();

/** One fault: begins, lasts for `ms`, and is over when it resolves. */
type Fault = (scenario: Scenario, ms: number, node: string) => Promise<void>;

const FAULTS: Record<string, Fault> = {
  async 'kill subscribers'({ redis }) {
    await redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  },
  async 'reset the links of a node'({ proxy }, _ms, node) {
    proxy.reset(linksOf('subscriber', node));
    proxy.reset(linksOf('commands', node));
  },
  async 'freeze Redis'({ redis }, ms) {
    redis.pause();
    await sleep(ms);
    redis.resume();
  },
  async 'restart Redis empty'({ redis }) {
    await redis.restart('empty');
  },
  async 'silence a subscriber link'({ proxy }, ms, node) {
    using _fault = proxy.impose({ blackhole: true }, linksOf('subscriber', node));
    await sleep(ms);
  },
  async 'silence a command link'({ proxy }, ms, node) {
    using _fault = proxy.impose({ blackhole: true }, linksOf('commands', node));
    await sleep(ms);
  },
  async 'delay everything'({ proxy }, ms) {
    using _fault = proxy.impose({ delayMs: 100 });
    await sleep(ms);
  },
  async 'swallow messages'({ proxy, random }, ms, node) {
    const links = linksOf('subscriber', node);
    const times = 1 + random.below(20);
    using _trap = proxy.swallowMessage(({ channel }) => !channel.startsWith('tw:'), {
      links,
      times,
    });
    await sleep(ms);
  },
  async 'cut in the middle of a message'({ proxy }, ms, node) {
    using _trap = proxy.cutMidMessage(() => true, { links: linksOf('subscriber', node) });
    await sleep(ms);
  },
  async 'drop clients'({ clients, random }) {
    for (const client of clients) if (random.next() < 0.5) client.drop();
  },
  async 'kill a node'({ edges }) {
    const alive = edges.filter((edge) => !killed.has(edge));
    if (alive.length < 2) return;
    const [first] = alive;
    killed.add(first!);
    first!.signal('SIGKILL');
  },
};

it('E1: three edges under random faults for 60 s: no client has a reason to complain', async () => {
  await using scenario = await Scenario.start({ edges: 3 });
  console.log(`CHAOS_SEED=${scenario.seed} npm run chaos -- random-faults`);
  const { random } = scenario;
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 400 });
  await scenario.connect({ channels: CHANNELS, count: CLIENTS });
  const names = Object.keys(FAULTS);
  const history: string[] = [];
  const startedAt = performance.now();
  while (performance.now() - startedAt < LASTS_MS) {
    // All choices are made before anything is waited for, so that a seed makes the same ones.
    const name = names[random.below(names.length)]!;
    const node = `edge-${1 + random.below(3)}`;
    const ms = random.below(LONGEST_MS);
    const pause = random.below(LONGEST_MS);
    history.push(`${name} on ${node} for ${ms} ms, then ${pause} ms`);
    await FAULTS[name]!(scenario, ms, node);
    await sleep(pause);
  }
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 400, 'trades flow again');
  await publisher.stop();
  expect(scenario.count('publications')).toBeGreaterThan(CLIENTS);
  await scenario.verify().catch((error: Error) => {
    throw new Error(`${error.message}\nwhat happened:\n${history.join('\n')}`);
  });
});

it('E1, control: clients that do not say where they were complain', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 400 });
  await scenario.connect({ channels: CHANNELS, count: 10, resumes: false });
  await FAULTS['reset the links of a node']!(scenario, 0, 'edge-1');
  for (const client of scenario.clients) client.drop();
  await scenario.until(() => scenario.clients.every(({ live }) => live), 'all are back');
  await publisher.stop();
  await scenario.expectComplaints(['silent-hole', 'missing']);
});
