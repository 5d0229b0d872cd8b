import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDeliveryRound, deliver, type Subscriber } from './deliver.ts';
import { Outbox } from './outbox.ts';
import type { Publication } from './publication.ts';
import { PublicationLog } from './publication-log.ts';
import { SendQueues } from './send-queues.ts';
import { type Audience, SubscriptionIndex } from './subscription-index.ts';

const LIMITS = { slots: 3, bytes: 1_000, publicationBytes: 10, controls: 4, controlBytes: 100 };
const POLICY = { graceMs: 100, maxLagMs: 10_000 };
const CHANNEL = 'BTC.trade';

/** The queues of all clients here. */
const queues = new SendQueues(LIMITS);

interface Client extends Subscriber {
  readonly name: string;
}

function publication(): Publication {
  return { channel: CHANNEL, offset: 0, body: new Uint8Array(1), publishedAt: 0 };
}

/** @param offered how many publications the client was offered at time 0. */
function client(name: string, offered: number, blocked: boolean): Client {
  const outbox = new Outbox(queues, POLICY, new PublicationLog(0));
  outbox.blocked = blocked;
  for (let i = 0; i < offered; i += 1) outbox.offer(publication(), 0);
  return { name, outbox, queueId: outbox.queueId, group: 0 };
}

function audienceOf(members: readonly Client[]): Audience<Client> {
  return { members, queueIds: members.map(({ queueId }) => queueId) };
}

function namesOf(clients: readonly Client[]): string[] {
  return clients.map(({ name }) => name);
}

describe('deliver', () => {
  it('lists what is left to do with each subscriber', () => {
    const round = createDeliveryRound<Client>();
    const subscribers = [
      client('idle', 0, false),
      client('behind', 1, false),
      client('nearly full', 2, false),
      client('full and blocked', 3, true),
      client('struck twice', 5, true),
      client('idle and blocked', 0, true),
    ];
    deliver(publication(), audienceOf(subscribers), queues, 100, round);
    expect(namesOf(round.dirty)).toEqual(['idle', 'idle and blocked']);
    expect(namesOf(round.nearlyFull)).toEqual(['nearly full']);
    expect(namesOf(round.slow)).toEqual(['struck twice']);
    expect(round.refused).toBe(2);
  });

  it('adds to a round that has not been flushed yet, and marks nobody dirty twice', () => {
    const round = createDeliveryRound<Client>();
    const [one, other] = [client('one', 0, false), client('other', 0, false)];
    deliver(publication(), audienceOf([one]), queues, 0, round);
    deliver(publication(), audienceOf([one, other]), queues, 0, round);
    expect(namesOf(round.dirty)).toEqual(['one', 'other']);
    expect([one.outbox.depth, other.outbox.depth]).toEqual([2, 1]);
  });

  it('queues a reference to the one body, and no copy of it', () => {
    const shared = publication();
    const subscribers = Array.from({ length: 100 }, (_, n) => client(`${n}`, 0, false));
    deliver(shared, audienceOf(subscribers), queues, 0, createDeliveryRound());
    for (const { outbox } of subscribers) expect(outbox.peek()).toBe(shared.body);
    expect(shared.body).toEqual(new Uint8Array(1));
  });

  it('numbers for each subscriber by itself', () => {
    const subscribers = [client('new', 0, false), client('old', 2, false), client('full', 9, true)];
    deliver(publication(), audienceOf(subscribers), queues, 0, createDeliveryRound());
    expect(subscribers.map(({ outbox }) => outbox.lastSequence)).toEqual([1, 3, 10]);
  });

  it('does nothing for nobody', () => {
    const round = createDeliveryRound<Client>();
    deliver(publication(), new SubscriptionIndex<Client>().audience(CHANNEL), queues, 0, round);
    expect(round).toEqual(createDeliveryRound());
  });

  it('reaches each subscriber of the index once, in one list at most, and leaves the index be', () => {
    const state = fc.record({ offered: fc.nat(8), blocked: fc.boolean() });
    fc.assert(
      fc.property(fc.array(state), fc.nat(200), (states, now) => {
        const index = new SubscriptionIndex<Client>();
        const clients = states.map(({ offered, blocked }, n) => client(`${n}`, offered, blocked));
        for (const one of clients) index.add(CHANNEL, one);
        const round = createDeliveryRound<Client>();
        const { members } = index.audience(CHANNEL);
        const before = [...members];
        const refusedBefore = clients.map(({ outbox }) => outbox.lastSequence - outbox.depth);

        deliver(publication(), index.audience(CHANNEL), queues, now, round);

        expect(index.audience(CHANNEL).members).toBe(members);
        expect(members).toEqual(before);
        const listed = [...round.dirty, ...round.nearlyFull, ...round.slow];
        expect(new Set(listed).size).toBe(listed.length);
        for (const [n, { offered }] of states.entries()) {
          expect(clients[n]?.outbox.lastSequence).toBe(offered + 1);
        }
        const refused = clients.filter(
          ({ outbox }, n) => outbox.lastSequence - outbox.depth > (refusedBefore[n] ?? 0),
        );
        expect(round.refused).toBe(refused.length);
        expect(refused).toEqual(expect.arrayContaining(round.slow));
      }),
    );
  });
});
