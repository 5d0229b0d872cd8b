import type { CloseReason } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { FanOutUnderTest } from '../clients/testing/fan-out-under-test.ts';
import { EndedClients, KEPT_ENDS } from './ended-clients.ts';
import { addSearches, answerClientEnquiry } from './watched-clients.ts';

const NOTHING = { channels: [], mostSubscribed: [], most: 10, searches: [] };

describe('what a worker knows for pages', () => {
  it('counts subscribers, and names the channels with the most', async () => {
    using worker = new FanOutUnderTest();
    worker.subscriber('BTC.trade', 'e', 1);
    worker.subscriber('BTC.trade', 'e', 1);
    worker.subscriber('ETH.trade', 'e', 1);
    const answer = await answerClientEnquiry(worker.fanOut, new EndedClients(), {
      ...NOTHING,
      channels: ['ETH.trade', 'none'],
      mostSubscribed: ['', 'ETH'],
    });
    expect(answer.subscribers).toEqual([1, 0]);
    expect(answer.mostSubscribed).toEqual([
      [
        ['BTC.trade', 2, 0],
        ['ETH.trade', 1, 0],
      ],
      [['ETH.trade', 1, 0]],
    ]);
  });

  it('finds a client by its session, and of all clients those that are far behind', async () => {
    using worker = new FanOutUnderTest();
    const stalled = worker.subscriber('BTC.trade', 'e', 1);
    const other = worker.subscriber('BTC.trade', 'e', 1);
    stalled.stall();
    for (let offset = 2; offset < 42; offset += 1)
      worker.upstream.publish('BTC.trade', 'x', offset);
    other.flush();
    const { id } = stalled.connection.session;
    const { searches } = await answerClientEnquiry(worker.fanOut, new EndedClients(), {
      ...NOTHING,
      searches: [id, id.slice(0, 8), id.slice(0, 7), ''],
    });
    const found = searches.map(({ clients }) => clients.map(({ session }) => session));
    expect(found).toEqual([[id], [id], [], [id]]);
    expect(searches[0]?.clients[0]).toMatchObject({ queue: 40, channels: 1, network: '' });
  });

  it('remembers why the last 1,000 clients ended, and names those whose ends nobody wished for', async () => {
    using worker = new FanOutUnderTest();
    const { session } = worker.client().connection;
    const ended = new EndedClients();
    const end = (reason: CloseReason, id: string): void => {
      ended.add(reason, Object.assign(Object.create(session), { id }));
    };
    end('slow', 'the-first-of-all');
    end('normal', 'a-client-that-was-done');
    end('slow', 'a-client-that-was-slow');
    for (let i = 0; i < KEPT_ENDS - 2; i += 1) end('normal', `number-${i}`);
    const { searches } = await answerClientEnquiry(worker.fanOut, ended, {
      ...NOTHING,
      searches: ['the-first-of-all', 'a-client-that-was-done', ''],
    });
    expect(searches.map(({ clients }) => clients.map(({ reason }) => reason))).toEqual([
      [],
      ['normal'],
      ['slow'],
    ]);
  });

  it('joins what several workers found: the worst of those that are connected, then the latest ends', () => {
    const client = (session: string, more: object) => ({
      ...{ session, network: '', openedAt: 0, channels: 0, queue: 0, stalledMs: 0 },
      ...{ isBehind: false, ignoredRequests: 0, ...more },
    });
    const { clients } = addSearches('', [
      { text: '', clients: [client('a', { queue: 5 }), client('b', { endedAt: 1 })] },
      undefined,
      { text: '', clients: [client('c', { stalledMs: 50 }), client('d', { endedAt: 2 })] },
    ]);
    expect(clients.map(({ session }) => session)).toEqual(['c', 'a', 'd', 'b']);
  });
});
