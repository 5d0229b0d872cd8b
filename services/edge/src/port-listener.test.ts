import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { FeedListener } from './feed.ts';
import { PortFeed } from './port-feed.ts';
import { PortListener } from './port-listener.ts';
import { publicationOf } from './testing/fake-upstream.ts';
import type { InterestChange } from './worker-messages.ts';

const BACKLOG_BYTES = 10_000;

/** Both ends of a port, with what is on its way in between, delivered when the test says so. */
function connectEnds() {
  const told: unknown[] = [];
  const toWorker: (readonly Uint8Array<ArrayBuffer>[])[] = [];
  const toHub: { changes: readonly InterestChange[]; consumedBytes: number }[] = [];
  const listener: FeedListener = {
    published: ({ channel }) => told.push(['published', channel]),
    acknowledged: (list) => told.push(['acknowledged', ...list.map(({ channel }) => channel)]),
    refused: (channels, code) => told.push(['refused', ...channels, code]),
    gap: (notice) => told.push(['gap', notice]),
    resync: (notice) => told.push(['resync', notice]),
    history: ({ channel, publications }) =>
      told.push(['history', channel, ...publications.map(({ offset }) => offset)]),
    degraded: (since) => told.push(['degraded', since]),
    restored: () => told.push(['restored']),
  };
  const hubEnd = new PortListener((buffers) => toWorker.push(buffers), BACKLOG_BYTES);
  const workerEnd = new PortFeed(
    (changes, consumedBytes) => toHub.push({ changes, consumedBytes }),
    listener,
  );
  return {
    told,
    toWorker,
    hubEnd,
    workerEnd,
    async deliverToWorker() {
      await nextTurn();
      for (const buffers of toWorker.splice(0)) workerEnd.receive(buffers);
    },
    async deliverToHub() {
      await nextTurn();
      for (const { changes, consumedBytes } of toHub.splice(0)) {
        for (const [channel, declaration] of changes) hubEnd.declared(channel, declaration);
        hubEnd.consumed(consumedBytes);
      }
    },
  };
}

describe('a worker and its hub across a port', () => {
  it('passes answers and publications on in one order', async () => {
    const ends = connectEnds();
    ends.workerEnd.declare('a');
    await ends.deliverToHub();
    ends.hubEnd.acknowledged([{ channel: 'a', ref: 1 }]);
    ends.hubEnd.published(publicationOf('a', 1));
    ends.hubEnd.degraded(5);
    await ends.deliverToWorker();
    expect(ends.told).toEqual([
      ['acknowledged', 'a'],
      ['published', 'a'],
      ['degraded', 5],
    ]);
  });

  it('passes over an acknowledgement of a declaration that was taken back meanwhile', async () => {
    const ends = connectEnds();
    ends.workerEnd.declare('a');
    await ends.deliverToHub();
    ends.hubEnd.acknowledged([{ channel: 'a', ref: 1 }]);
    ends.workerEnd.drop('a');
    ends.workerEnd.declare('a');
    await ends.deliverToWorker();
    expect(ends.told).toEqual([]);

    await ends.deliverToHub();
    ends.hubEnd.acknowledged([{ channel: 'a', ref: 1 }]);
    await ends.deliverToWorker();
    expect(ends.told).toEqual([['acknowledged', 'a']]);
  });

  it('passes over a refusal of an older declaration, and takes a current one for a drop', async () => {
    const ends = connectEnds();
    ends.workerEnd.declare('a');
    await ends.deliverToHub();
    ends.hubEnd.refused(['a'], 'unavailable');
    ends.workerEnd.drop('a');
    ends.workerEnd.declare('a');
    await ends.deliverToWorker();
    expect(ends.told).toEqual([]);

    await ends.deliverToHub();
    ends.hubEnd.refused(['a'], 'unavailable');
    ends.hubEnd.refused(['a'], 'unavailable');
    await ends.deliverToWorker();
    expect(ends.told).toEqual([['refused', 'a', 'unavailable']]);
  });

  it('drops publications for a worker that works nothing off, and tells it how many', async () => {
    const ends = connectEnds();
    const payload = 'x'.repeat(1_000);
    for (let i = 0; i < 30; i += 1) ends.hubEnd.published(publicationOf('a', payload));
    for (let i = 0; i < 4; i += 1) ends.hubEnd.published(publicationOf('b', payload));
    await nextTurn();
    expect(ends.hubEnd.unconsumedBytes).toBeLessThan(BACKLOG_BYTES + 1_500);
    const posted = ends.toWorker.length;
    for (let i = 0; i < 1_000; i += 1) ends.hubEnd.published(publicationOf('a', payload));
    await nextTurn();
    expect(ends.toWorker).toHaveLength(posted);

    await ends.deliverToWorker();
    await ends.deliverToHub();
    expect(ends.hubEnd.unconsumedBytes).toBe(0);
    ends.hubEnd.published(publicationOf('a', 'after'));
    await ends.deliverToWorker();
    const delivered = ends.told.filter((call) => (call as unknown[])[0] === 'published').length - 1;
    expect(ends.told.slice(delivered)).toEqual([
      ['gap', { channel: 'a', lost: 1_030 - delivered, reason: 'slow' }],
      ['gap', { channel: 'b', lost: 4, reason: 'slow' }],
      ['published', 'a'],
    ]);
  });

  it('posts nothing any more when the worker is gone', async () => {
    const ends = connectEnds();
    ends.hubEnd.published(publicationOf('a', 1));
    ends.hubEnd.close();
    ends.hubEnd.published(publicationOf('a', 2));
    await nextTurn();
    expect(ends.toWorker).toEqual([]);
  });
});
