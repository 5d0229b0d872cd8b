import { setTimeout as sleep } from 'node:timers/promises';
import { linksOf } from '../../support/faults/tcp-fault-proxy.ts';
import { createRandom } from '../../support/suite/random.ts';
import type { NumberedPublisher } from '../publishers/publisher.ts';
import type { Scenario } from './scenario.ts';

/** The longest pause between two faults, and the longest duration of one, in ms. */
const LONGEST_MS = 3_000;

/** The most published messages that one fault swallows. */
const MOST_SWALLOWED = 20;

/** The parts of a scenario that a fault needs. */
export interface Tier {
  readonly scenario: Scenario;
  /** Publishers that repeat unanswered publications. */
  readonly repeating: readonly NumberedPublisher[];
}

/** The random choices of one fault, made before the run. */
export interface FaultChoice {
  readonly name: string;
  /** Counted from 0 in the order of the start. */
  readonly node: number;
  readonly lastsMs: number;
  readonly pauseMs: number;
  /** For choices that depend on the number of clients. */
  readonly seed: number;
}

/** A fault; it is over when the promise resolves. */
type Fault = (tier: Tier, choice: FaultChoice) => Promise<void>;

const FAULTS: Readonly<Record<string, Fault>> = {
  async 'kill subscribers'({ scenario: { redis } }) {
    await redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  },
  async 'reset the links of a node'({ scenario: { proxy } }, { node }) {
    proxy.reset(linksOf('subscriber', nameOf(node)));
    proxy.reset(linksOf('commands', nameOf(node)));
  },
  async 'freeze Redis'({ scenario: { redis } }, { lastsMs }) {
    redis.pause();
    await sleep(lastsMs);
    redis.resume();
  },
  async 'restart Redis empty'({ scenario: { redis }, repeating }) {
    // Idempotency keys vanish with the data: publications that were executed and not answered would be published twice.
    for (const publisher of repeating) await publisher.hold();
    await redis.kill();
    for (const publisher of repeating) publisher.go();
    await redis.restart('empty');
  },
  async 'silence a subscriber link'({ scenario: { proxy } }, { node, lastsMs }) {
    using _fault = proxy.impose({ blackhole: true }, linksOf('subscriber', nameOf(node)));
    await sleep(lastsMs);
  },
  async 'silence a command link'({ scenario: { proxy } }, { node, lastsMs }) {
    using _fault = proxy.impose({ blackhole: true }, linksOf('commands', nameOf(node)));
    await sleep(lastsMs);
  },
  async 'delay everything'({ scenario: { proxy } }, { lastsMs }) {
    using _fault = proxy.impose({ delayMs: 100 });
    await sleep(lastsMs);
  },
  async 'swallow messages'({ scenario: { proxy } }, { node, lastsMs, seed }) {
    const links = linksOf('subscriber', nameOf(node));
    const times = 1 + createRandom(seed).below(MOST_SWALLOWED);
    using _trap = proxy.swallowMessage(({ channel }) => !channel.startsWith('tw:'), {
      ...{ links, times },
    });
    await sleep(lastsMs);
  },
  async 'cut in the middle of a message'({ scenario: { proxy } }, { node, lastsMs }) {
    const links = linksOf('subscriber', nameOf(node));
    using _trap = proxy.cutMidMessage(() => true, { links });
    await sleep(lastsMs);
  },
  async 'drop clients'({ scenario: { clients } }, { seed }) {
    const random = createRandom(seed);
    for (const client of clients) if (random.next() < 0.5) client.drop();
  },
  async 'kill a node and start it again'({ scenario }, { node, lastsMs }) {
    const edge = scenario.edges[node]!;
    edge.signal('SIGKILL');
    await sleep(lastsMs);
    await scenario.restartEdge(edge);
  },
};

function nameOf(node: number): string {
  return `edge-${node + 1}`;
}

/** Every fault once, in random order. */
export function planEachFault(random: Scenario['random'], nodes: number): FaultChoice[] {
  const names = Object.keys(FAULTS);
  const plan: FaultChoice[] = [];
  while (names.length > 0) {
    const [name] = names.splice(random.below(names.length), 1);
    plan.push(choose(name!, random, nodes));
  }
  return plan;
}

/** Every fault once, and more at random until they fill `ms`. The same seed makes the same plan. */
export function planFaults(
  random: Scenario['random'],
  nodes: number,
  lastsMs: number,
): readonly FaultChoice[] {
  const names = Object.keys(FAULTS);
  const plan = planEachFault(random, nodes);
  const sum = (): number => plan.reduce((total, each) => total + each.lastsMs + each.pauseMs, 0);
  while (sum() < lastsMs) plan.push(choose(names[random.below(names.length)]!, random, nodes));
  return plan;
}

function choose(name: string, random: Scenario['random'], nodes: number): FaultChoice {
  return {
    name,
    node: random.below(nodes),
    lastsMs: random.below(LONGEST_MS),
    pauseMs: random.below(LONGEST_MS),
    seed: random.below(2 ** 31),
  };
}

/** Executes faults one after the other. */
export async function suffer(tier: Tier, plan: readonly FaultChoice[]): Promise<void> {
  for (const choice of plan) {
    // A fault that is over at once still gets its time, so that a plan lasts as long as it says.
    await Promise.all([FAULTS[choice.name]!(tier, choice), sleep(choice.lastsMs)]);
    await sleep(choice.pauseMs);
  }
}

/** A plan in words, to find out what went wrong. */
export function describePlan(plan: readonly FaultChoice[]): string {
  return plan
    .map(({ name, node, lastsMs, pauseMs }) => {
      return `${name} (${nameOf(node)}, for ${lastsMs} ms, then ${pauseMs} ms)`;
    })
    .join('\n');
}
