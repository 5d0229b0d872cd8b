import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { type SubscriptionCommand, SubscriptionTable } from './subscription-table.ts';

const CHANNELS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const BATCH_CHANNELS = 3;
const COMMANDS_IN_FLIGHT = 2;
const RETRY_MAX_MS = 8_000;

type FromRedis =
  | { readonly kind: 'message'; readonly channel: string; readonly number: number }
  | { readonly kind: 'ack'; readonly command: SubscriptionCommand }
  | {
      readonly kind: 'refusal';
      readonly command: SubscriptionCommand;
      readonly denied: readonly string[];
    };

/**
 * A subscriber's owner, a link and a Redis around one table. The link is two queues; what is taken
 * from the second one at a time is a chunk, whose messages arrive before its answers, as with ioredis.
 */
class World {
  readonly table = new SubscriptionTable({
    batchChannels: BATCH_CHANNELS,
    commandsInFlight: COMMANDS_IN_FLIGHT,
    refusedRetryMinMs: 1_000,
    refusedRetryMaxMs: RETRY_MAX_MS,
    random: () => 1,
  });
  readonly wanted = new Set<string>();
  readonly told = new Set<string>();
  readonly denied = new Set<string>();
  /** Messages that must arrive: published while told, neither left nor cut off since. */
  readonly owed = new Map<string, number[]>();
  toRedis: SubscriptionCommand[] = [];
  fromRedis: FromRedis[] = [];
  atRedis = new Set<string>();
  lastNumber = new Map<string, number>();
  published = 0;
  now = 0;
  up = false;
  restored = 0;

  want(channel: string): void {
    this.wanted.add(channel);
    this.table.want(channel);
  }

  unwant(channel: string): void {
    this.wanted.delete(channel);
    this.told.delete(channel);
    this.owed.delete(channel);
    this.table.unwant(channel);
  }

  linkUp(): void {
    this.linkDown();
    this.up = true;
    this.table.linkUp();
  }

  linkDown(): void {
    this.up = false;
    this.toRedis = [];
    this.fromRedis = [];
    this.atRedis = new Set();
    this.told.clear();
    this.owed.clear();
    this.restored = 0;
    this.table.linkDown();
  }

  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.table.retryDue(this.now);
  }

  turn(): void {
    this.tell(this.table.takeConfirmed());
    for (let command = this.table.nextCommand(); command; command = this.table.nextCommand()) {
      expect(this.up).toBe(true);
      expect(command.channels.length).toBeGreaterThan(0);
      expect(command.channels.length).toBeLessThanOrEqual(BATCH_CHANNELS);
      this.toRedis.push(command);
      this.expectOneCommandPerChannel();
    }
    if (this.table.takeRestored()) this.restored += 1;
    expect(this.restored).toBeLessThanOrEqual(1);
  }

  redisRuns(commands: number): void {
    for (const command of this.toRedis.splice(0, commands)) {
      const denied = command.channels.filter((name) => this.denied.has(name));
      if (command.kind === 'subscribe' && denied.length > 0) {
        this.fromRedis.push({ kind: 'refusal', command, denied });
        continue;
      }
      this.fromRedis.push({ kind: 'ack', command });
      for (const channel of command.channels) {
        if (command.kind === 'subscribe') this.atRedis.add(channel);
        else this.atRedis.delete(channel);
      }
    }
  }

  publish(channel: string): void {
    if (!this.atRedis.has(channel)) return;
    const number = ++this.published;
    this.fromRedis.push({ kind: 'message', channel, number });
    if (this.told.has(channel)) this.owed.set(channel, [...(this.owed.get(channel) ?? []), number]);
  }

  chunk(size: number): void {
    const items = this.fromRedis.splice(0, size);
    for (const item of items) if (item.kind === 'message') this.receive(item.channel, item.number);
    for (const item of items) {
      if (item.kind === 'message') continue;
      if (item.kind === 'ack') this.table.accepted(item.command);
      else {
        const channel = this.table.refused(item.command, this.now);
        if (channel !== undefined) expect(item.denied).toEqual([channel]);
      }
      this.turn();
    }
  }

  /** Gives table and Redis all the time that they need. */
  settle(): void {
    this.denied.clear();
    if (!this.up) this.linkUp();
    for (let round = 0; round < 40; round++) {
      this.pass(RETRY_MAX_MS);
      this.turn();
      this.redisRuns(Number.POSITIVE_INFINITY);
      this.chunk(Number.POSITIVE_INFINITY);
    }
  }

  private tell(channels: readonly string[]): void {
    for (const channel of channels) {
      expect(this.wanted.has(channel)).toBe(true);
      expect(this.told.has(channel)).toBe(false);
      this.told.add(channel);
    }
  }

  private receive(channel: string, number: number): void {
    let verdict = this.table.receive(channel);
    if (verdict === 'confirm') {
      this.tell([channel]);
      verdict = this.table.receive(channel);
    }
    if (verdict !== 'deliver') {
      expect(this.owed.get(channel) ?? []).not.toContain(number);
      return;
    }
    expect(this.wanted.has(channel) && this.told.has(channel)).toBe(true);
    expect(number).toBeGreaterThan(this.lastNumber.get(channel) ?? 0);
    this.lastNumber.set(channel, number);
    const owed = this.owed.get(channel) ?? [];
    if (owed.includes(number)) expect(owed.shift()).toBe(number);
  }

  private expectOneCommandPerChannel(): void {
    const answers = this.fromRedis.flatMap((item) =>
      item.kind === 'message' ? [] : [item.command],
    );
    const busy = [...this.toRedis, ...answers].filter((command) => this.table.awaits(command));
    expect(busy.length).toBeLessThanOrEqual(COMMANDS_IN_FLIGHT);
    const channels = busy.flatMap((command) => command.channels);
    expect(new Set(channels).size).toBe(channels.length);
  }
}

type Action = (world: World, channel: string, amount: number) => void;

const ACTIONS = {
  want: (world, channel) => world.want(channel),
  unwant: (world, channel) => world.unwant(channel),
  publish: (world, channel) => world.publish(channel),
  turn: (world) => world.turn(),
  'redis runs': (world, _channel, amount) => world.redisRuns(amount),
  chunk: (world, _channel, amount) => world.chunk(amount),
  deny: (world, channel) => world.denied.add(channel),
  permit: (world, channel) => world.denied.delete(channel),
  'time passes': (world) => world.pass(1_500),
  'link up': (world) => world.linkUp(),
  'link down': (world) => world.linkDown(),
} satisfies Record<string, Action>;

const step = fc.record({
  action: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('want', 'publish', 'turn', 'redis runs', 'chunk') },
    { weight: 1, arbitrary: fc.constantFrom('unwant', 'deny', 'permit', 'time passes') },
    { weight: 1, arbitrary: fc.constantFrom('unwant', 'link up', 'link down') },
  ) as fc.Arbitrary<keyof typeof ACTIONS>,
  channel: fc.constantFrom(...CHANNELS),
  amount: fc.integer({ min: 1, max: 5 }),
});

it('keeps its promises and ends where it should for any order of events', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const world = new World();
      world.linkUp();
      for (const { action, channel, amount } of steps) {
        const act: Action = ACTIONS[action];
        act(world, channel, amount);
      }
      world.settle();
      expect(world.atRedis).toEqual(world.wanted);
      expect(world.told).toEqual(world.wanted);
      expect(world.table.size).toBe(world.wanted.size);
      expect(world.restored).toBe(1);
      expect([...world.owed.values()].flat()).toEqual([]);
    }),
    cases(2_000),
  );
});
