import { describe, expect, it } from 'vitest';
import type { HeldChannel } from '../hub/hub.ts';
import { ChannelRates } from './channel-rates.ts';
import { PageAnswers } from './page-answers.ts';
import type { ClientEnquiry } from './watched-clients.ts';

/** A node with three channels, of which each of two workers has subscribers. */
class Node {
  readonly rates = new ChannelRates();
  readonly held = new Map<string, HeldChannel>();
  asked: ClientEnquiry | undefined;
  readonly answers = new PageAnswers({
    node: 'edge-1',
    rates: this.rates,
    channels: () => this.held.values(),
    channel: (name) => this.held.get(name),
    askClients: async (enquiry) => {
      this.asked = enquiry;
      const answer = {
        subscribers: enquiry.channels.map(() => 2),
        saved: enquiry.channels.map(() => 500),
        mostSubscribed: enquiry.mostSubscribed.map(() => [['b', 3, 700] as const]),
        searches: enquiry.searches.map((text) => ({ text, clients: [] })),
      };
      return [answer, answer];
    },
  });

  constructor() {
    const now = performance.now();
    this.#hold('a', { lastMessageAt: now, position: { epoch: 'e', offset: 7 } });
    // A second ago would be before the process began, where that is young: that counts as never.
    this.#hold('b', { lastMessageAt: now / 2 });
    this.#hold('c', { lastMessageAt: 0, state: 'subscribing' });
  }

  #hold(name: string, changes: Partial<HeldChannel>): void {
    const held: HeldChannel = { name, state: 'live', lastMessageAt: 0, position: undefined };
    this.held.set(name, { ...held, ...changes });
  }
}

const ASKS_NOTHING = { lists: [], channels: [], clients: [] };

describe('what a node answers to pages', () => {
  it('is nothing while nobody asks', async () => {
    const node = new Node();
    expect(await node.answers.answer(undefined)).toBeUndefined();
    expect(node.asked).toBeUndefined();
  });

  it('lists channels by rate, by subscribers and by silence, with those of all workers together', async () => {
    const node = new Node();
    await node.answers.answer(ASKS_NOTHING);
    node.rates.count('b');
    const answer = await node.answers.answer({
      ...ASKS_NOTHING,
      lists: [
        { order: 'rate', text: '' },
        { order: 'subscribers', text: '' },
        { order: 'quiet', text: '' },
        { order: 'rate', text: 'a' },
      ],
    });
    const names = answer?.lists.map(({ channels }) => channels.map(({ channel }) => channel));
    expect(names?.[0]?.[0]).toBe('b');
    expect(names?.slice(1)).toEqual([['b'], ['c', 'b', 'a'], ['a']]);
    expect(answer?.lists[0]?.channels[0]).toMatchObject({ subscribers: 4, saved: 1_000 });
    expect(answer?.lists[1]?.channels[0]).toMatchObject({ subscribers: 6, saved: 1_400 });
    expect(answer?.lists[2]?.channels[0]).toMatchObject({ channel: 'c', ageMs: -1 });
  });

  it('lists no channel before it has counted for a beat, and then with the rate', async () => {
    const node = new Node();
    const asked = { ...ASKS_NOTHING, lists: [{ order: 'rate', text: 'a' } as const] };
    expect((await node.answers.answer(asked))?.lists).toEqual([]);
    node.rates.count('a');
    const counted = await node.answers.answer(asked);
    expect(counted?.lists[0]?.channels[0]?.rate).toBeGreaterThan(0);
    // Nobody asks for a while: counting begins anew.
    await node.answers.answer(undefined);
    expect((await node.answers.answer(asked))?.lists).toEqual([]);
  });

  it('tells the position of a channel that a page looks at, and nothing of one that it does not hold', async () => {
    const node = new Node();
    const answer = await node.answers.answer({ ...ASKS_NOTHING, channels: ['a', 'c', 'none'] });
    expect(answer?.channels).toMatchObject([
      { channel: 'a', epoch: 'e', offset: 7, subscribers: 4, state: 'live' },
      { channel: 'c', state: 'starting' },
    ]);
  });
});
