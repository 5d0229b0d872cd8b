import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { SubscriptionIndex } from './subscription-index.ts';

const CHANNELS = ['a', 'b', 'c', 'd', 'e'];
const CLIENTS = [0, 1, 2, 3, 4, 5].map((number) => ({
  number,
  queueId: 10 + number,
  group: number % 3,
}));

type Client = (typeof CLIENTS)[number];

/** Channel → its subscribers; a channel without any is not in it. */
type Model = Map<string, Set<Client>>;

function addTo(model: Model, channel: string, client: Client): boolean {
  const members = model.get(channel) ?? new Set();
  if (members.has(client)) return false;
  model.set(channel, members.add(client));
  return true;
}

function removeFrom(model: Model, channel: string, client: Client): boolean {
  const members = model.get(channel);
  const removed = members?.delete(client) === true;
  if (members?.size === 0) model.delete(channel);
  return removed;
}

function heldIn(model: Model, client: Client): string[] {
  return CHANNELS.filter((channel) => model.get(channel)?.has(client) === true);
}

type Operation = (
  index: SubscriptionIndex<Client>,
  model: Model,
  client: Client,
  channels: readonly [string, ...string[]],
) => void;

const OPERATIONS: Record<string, Operation> = {
  addElsewhere(index, model, client, [channel, ...others]) {
    const group = others.length % 5;
    const isNew = addTo(model, channel, client);
    const before = index.groupOf(channel, client);
    expect(index.add(channel, client, group)).toBe(isNew);
    expect(index.groupOf(channel, client)).toBe(isNew ? group : before);
  },
  add(index, model, client, [channel]) {
    expect(index.add(channel, client)).toBe(addTo(model, channel, client));
  },
  addMultiple(index, model, client, channels) {
    const added = channels.filter((channel) => addTo(model, channel, client)).length;
    expect(index.addMultiple(channels, client)).toBe(added);
  },
  remove(index, model, client, [channel]) {
    expect(index.remove(channel, client)).toBe(removeFrom(model, channel, client));
  },
  removeMultiple(index, model, client, channels) {
    const removed = channels.filter((channel) => removeFrom(model, channel, client)).length;
    expect(index.removeMultiple(channels, client)).toBe(removed);
  },
  removeClient(index, model, client) {
    const held = heldIn(model, client);
    expect(index.removeClient(client).sort()).toEqual(held);
    for (const channel of held) removeFrom(model, channel, client);
  },
};

function expectEqual(index: SubscriptionIndex<Client>, model: Model): void {
  const counts = [...model].map(([channel, members]) => [channel, members.size] as const);
  expect([...index.counts()].sort()).toEqual([...counts].sort());
  expect(index.channels).toBe(model.size);
  expect(index.subscriptions).toBe(counts.reduce((sum, [, size]) => sum + size, 0));
  expect(CLIENTS.map((client) => index.held(client))).toEqual(
    CLIENTS.map((client) => heldIn(model, client).length),
  );
  for (const channel of CHANNELS) {
    const expected = CLIENTS.filter((client) => model.get(channel)?.has(client) === true);
    const members = index.get(channel).toSorted((a, b) => a.number - b.number);
    expect(members).toEqual(expected);
    const audiences = [0, 1, 2, 3, 4].map((group) => index.audience(channel, group));
    expect(audiences.flatMap((audience) => audience.members)).toEqual(index.get(channel));
    for (const [group, audience] of audiences.entries()) {
      expect(audience.queueIds).toEqual(audience.members.map(({ queueId }) => queueId));
      expect(audience.members.every((client) => index.groupOf(channel, client) === group)).toBe(
        true,
      );
    }
    expect(index.count(channel)).toBe(expected.length);
    expect(CLIENTS.filter((client) => index.has(channel, client))).toEqual(expected);
  }
}

const step = fc.record({
  operation: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('add', 'remove') },
    { weight: 3, arbitrary: fc.constantFrom('addMultiple', 'removeMultiple', 'addElsewhere') },
    { weight: 1, arbitrary: fc.constant('removeClient') },
  ),
  client: fc.constantFrom(...CLIENTS),
  channels: fc.array(fc.constantFrom(...CHANNELS), { minLength: 1, maxLength: 7 }),
});

it('equals a map of sets after any sequence of operations', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const index = new SubscriptionIndex<Client>();
      const model: Model = new Map();
      for (const { operation, client, channels } of steps) {
        OPERATIONS[operation]?.(index, model, client, channels as [string, ...string[]]);
        expectEqual(index, model);
      }
      for (const client of CLIENTS) index.removeClient(client);
      expectEqual(index, new Map());
    }),
    cases(200),
  );
});
