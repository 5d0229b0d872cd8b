import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { SequenceWorld, type WorldSettings } from './testing/sequence-world.ts';

type Act = (world: SequenceWorld, amount: number) => void;

const ORDINARY = {
  publish: (world) => world.publish(),
  'publish plain': (world) => world.publishPlain(),
  ask: (world) => world.ask(),
  'execute the request': (world) => world.executeRequest(),
  arrive: (world, amount) => world.arrive(amount),
  operate: (world) => world.operate(),
  'execute operation': (world) => world.executeOperation(),
  'answer operation': (world) => world.answerOperation(),
  check: (world) => world.check(),
  compare: (world) => world.compare(),
  serve: (world) => world.serve(),
} satisfies Record<string, Act>;

/** Headers that do not follow: they move nothing. */
const STRAYS = {
  'forge an old one': (world, amount) => {
    if (world.offset > amount) world.forge(world.epoch, -amount, amount % 2 === 0);
  },
  'forge one far ahead': (world) => world.forge(world.epoch || 'e1', 500, true),
  'forge another epoch': (world, amount) => world.forge('other', amount, true),
} satisfies Record<string, Act>;

/** Headers that may follow: they are believed, since whoever publishes them speaks for the channel. */
const CLAIMS = {
  'claim a next one': (world, amount) => world.forge(world.epoch || 'e1', amount, amount % 2 === 0),
} satisfies Record<string, Act>;

const LOSSES = {
  'lose on the link': (world) => world.publish(true),
  trim: (world, amount) => world.trim(amount - 1),
  'remove an entry': (world, amount) => world.removeEntry(amount - 1),
  'refuse history': (world) => world.refuseHistory(),
} satisfies Record<string, Act>;

const LOST_LINKS = {
  'lose the link': (world) => world.loseLink(),
  subscribe: (world) => world.subscribe(),
  relink: (world) => world.relink(),
  'lose and regain the link': (world) => {
    world.loseLink();
    world.subscribe();
    world.relink();
  },
} satisfies Record<string, Act>;

const FAULTS = {
  ...LOST_LINKS,
  'fail over': (world, amount) => world.failOver(amount, false),
  'fail over, the other connection stays': (world, amount) => world.failOver(amount, true),
  'restart empty': (world) => world.restartEmpty(),
  'move the other connection': (world) => world.moveOther(),
  'fail over meanwhile': (world, amount) => {
    world.loseLink();
    world.failOver(amount, amount % 2 === 0);
    world.subscribe();
    world.relink();
  },
  'time passes': (world) => world.pass(3_000),
} satisfies Record<string, Act>;

const ACTS: Readonly<Record<string, Act>> = {
  ...ORDINARY,
  ...STRAYS,
  ...CLAIMS,
  ...LOSSES,
  ...FAULTS,
};

interface Step {
  readonly act: string;
  readonly amount: number;
}

/** Steps of these kinds. Ordinary ones come more often. */
function stepsOf(...kinds: readonly Readonly<Record<string, Act>>[]): fc.Arbitrary<Step[]> {
  const others = kinds.flatMap((kind) => Object.keys(kind));
  const ordinary = { weight: 3, arbitrary: fc.constantFrom(...Object.keys(ORDINARY)) };
  const act =
    others.length === 0
      ? ordinary.arbitrary
      : fc.oneof(ordinary, { weight: 1, arbitrary: fc.constantFrom(...others) });
  const step = fc.record({ act, amount: fc.integer({ min: 1, max: 5 }) });
  return fc.array(step, { maxLength: 120, size: 'max' });
}

const PAGES = [0, 1, 2, 5, 100];
const settings = fc.record({
  sequence: fc.record({
    waiting: fc.record({ messages: fc.constantFrom(4, 1_000), bytes: fc.constant(1_000_000) }),
    page: fc.constantFrom(...PAGES),
  }),
  historySize: fc.constantFrom(0, 1, 3, 100),
  published: fc.constantFrom(0, 1, 5),
});

/** Settings with which all messages have room to wait. */
function roomy(of: fc.Arbitrary<WorldSettings>): fc.Arbitrary<WorldSettings> {
  return of.filter(({ sequence }) => sequence.waiting.messages > 100);
}

function expectNothingLost({ oracle }: SequenceWorld): void {
  for (const loss of ['gap', 'lost']) expect(oracle.count(loss), loss).toBe(0);
  expect(oracle.count('resync'), 'the first epoch alone').toBeLessThanOrEqual(1);
}

function play(of: WorldSettings, steps: readonly Step[]): SequenceWorld {
  const world = new SequenceWorld(of);
  for (const { act, amount } of steps) ACTS[act]!(world, amount);
  world.settle();
  return world;
}

/** Enough to find each defect that was found by hand, without taking long. */
const RUNS = cases(10_000);

/** How long one property may take, in ms: as much as 6 ms a case, on a machine that is busy with other things. */
const TIMEOUT_MS = 6 * RUNS.numRuns;

describe('ChannelSequence, in any order of events', { timeout: TIMEOUT_MS }, () => {
  it('delivers everything, once and in order, and tells no loss where there is none', () => {
    fc.assert(
      fc.property(roomy(settings), stepsOf(), (of, steps) => {
        expectNothingLost(play(of, steps));
      }),
      RUNS,
    );
  });

  it('is not moved by headers that do not follow, where history tells true from false', () => {
    const held = roomy(settings).filter(({ sequence }) => sequence.page > 0);
    fc.assert(
      fc.property(held, stepsOf(STRAYS), (of, steps) => {
        const world = play({ ...of, historySize: 1_000 }, steps);
        expectNothingLost(world);
        expect(world.oracle.told.filter((line) => line.endsWith('forged'))).toEqual([]);
      }),
      RUNS,
    );
  });

  it('tells exactly what is lost, and an epoch before its publications, whatever happens to Redis', () => {
    fc.assert(
      fc.property(settings, stepsOf(LOSSES, FAULTS), (of, steps) => {
        play(of, steps);
      }),
      RUNS,
    );
  });

  it('begins no epoch while Redis loses nothing', () => {
    fc.assert(
      fc.property(settings, stepsOf(LOSSES, LOST_LINKS), (of, steps) => {
        const { oracle } = play(of, steps);
        expect(oracle.count('resync'), 'the first epoch alone').toBeLessThanOrEqual(1);
      }),
      RUNS,
    );
  });

  it('does so although headers are forged all the time', () => {
    fc.assert(
      fc.property(settings, stepsOf(STRAYS, CLAIMS, LOSSES, FAULTS), (of, steps) => {
        play(of, steps);
      }),
      RUNS,
    );
  });
});
