import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Hole, Publication, WireChannel } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { publicationOf, publicationsOf } from '../clients/testing/fake-upstream.ts';
import type { FeedListener, HistoryAnswer } from '../feed.ts';
import { HubPort } from './hub-port.ts';
import type { FeedCall } from './worker-messages.ts';
import { WorkerPort } from './worker-port.ts';

const BACKLOG_BYTES = 10_000;
const EPOCH = 'k3x9';

/** Both ends of a port, with what is on its way in between, delivered when the test says so. */
function connectEnds(hasHistory = true) {
  const told: unknown[] = [];
  const wires = new Map<string, WireChannel>();
  const toWorker: (readonly Uint8Array<ArrayBuffer>[])[] = [];
  const toHub: { calls: readonly FeedCall[]; consumedBytes: number }[] = [];
  const listener: FeedListener = {
    onPublication: ({ channel, offset }) =>
      told.push(offset === 0 ? ['published', channel] : ['published', channel, offset]),
    onReference: (channel, { reference }) => told.push(['reference', channel, reference?.id]),
    onAcknowledged: (list) => {
      for (const { channel, wire } of list) wires.set(channel, wire);
      told.push(['acknowledged', ...list.map(({ channel }) => channel)]);
    },
    onRefused: (channels, code) => told.push(['refused', ...channels, code]),
    onGap: (notice) => told.push(['gap', notice]),
    onResync: (notice) => told.push(['resync', notice]),
    onDegraded: (since) => told.push(['degraded', since]),
    onRestored: () => told.push(['restored']),
  };
  const deflated: [channel: string, isWanted: boolean][] = [];
  const asked: [channel: string, from: number][] = [];
  const onAnswers: ((answer: HistoryAnswer) => void)[] = [];
  const fillIns: [channel: string, from: number][] = [];
  const ends: ((code: ErrorCode | undefined) => void)[] = [];
  const ask = (channel: string, from: number, onAnswer: (answer: HistoryAnswer) => void): void => {
    asked.push([channel, from]);
    onAnswers.push(onAnswer);
  };
  const hubEnd = new HubPort({
    post: (buffers) => toWorker.push(buffers),
    connect: () => ({
      ...{ declare() {}, drop() {}, close() {} },
      wantDeflated: (channel, isWanted) => deflated.push([channel, isWanted]),
      readHistory: ask,
      fillIn(channel, from, onAnswer) {
        fillIns.push([channel, from]);
        ask(channel, from, onAnswer);
      },
      confirmEnd: (_channel, onConfirmed) => ends.push(onConfirmed),
    }),
    hasHistory,
    backlogBytes: BACKLOG_BYTES,
  });
  const workerEnd = new WorkerPort(
    (calls, consumedBytes) => toHub.push({ calls, consumedBytes }),
    listener,
  );
  return {
    ...{ told, wires, asked, deflated, fillIns, ends, toWorker, hubEnd, workerEnd },
    readHistory(channel: string, from: number) {
      workerEnd.readHistory(channel, from, ({ publications, gaps, code }) => {
        const offsets = [...publications.map(({ offset }) => offset), ...gaps];
        told.push(
          code === undefined ? ['history', channel, ...offsets] : ['history', channel, code],
        );
      });
    },
    confirmEnd(channel: string) {
      workerEnd.confirmEnd(channel, (code) => told.push(['end', channel, code]));
    },
    async deliverToWorker() {
      await nextTurn();
      for (const buffers of toWorker.splice(0)) workerEnd.makeCalls(buffers);
    },
    async deliverToHub() {
      await nextTurn();
      for (const { calls, consumedBytes } of toHub.splice(0)) {
        for (const call of calls) hubEnd.handle(call);
        hubEnd.confirmBytes(consumedBytes);
      }
    },
    /** The hub answers its oldest request. */
    answer(from: number, to: number, epoch = EPOCH, code?: ErrorCode, gaps: readonly Hole[] = []) {
      const [channel] = asked.shift() as [string, number];
      const publications = (code === undefined ? publicationsOf(channel, from, to) : []).filter(
        ({ offset }) => !gaps.some((gap) => offset >= gap.from && offset <= gap.to),
      );
      const answer = { channel, epoch, publications, gaps };
      onAnswers.shift()?.(code === undefined ? answer : { ...answer, code });
    },
    answerTooLong(channel: string, tooLongBefore: number, publications: readonly Publication[]) {
      asked.shift();
      onAnswers.shift()?.({ channel, epoch: EPOCH, publications, gaps: [], tooLongBefore });
    },
  };
}

/** What acknowledges a channel with this number. */
function wireOf(ref: number): WireChannel {
  return { ref, ts: 1_000 * ref, reference: undefined };
}

type Ends = ReturnType<typeof connectEnds>;

/** A worker that has channels without history. */
async function hold(ends: Ends, ...channels: readonly string[]): Promise<void> {
  for (const channel of channels) ends.workerEnd.declare(channel);
  await ends.deliverToHub();
  ends.hubEnd.onAcknowledged(channels.map((channel) => ({ channel, wire: wireOf(1) })));
  await ends.deliverToWorker();
  await ends.deliverToHub();
  ends.told.length = 0;
}

/** A worker that has a channel at offset 10, and then handles nothing until it misses something of it. */
async function overflow(ends: Ends, channel = 'a'): Promise<number> {
  ends.workerEnd.declare(channel);
  await ends.deliverToHub();
  ends.hubEnd.onAcknowledged([
    { channel, wire: wireOf(1), position: { epoch: EPOCH, offset: 10 } },
  ]);
  return fillUp(ends, channel, 10);
}

/** Returns the first offset that did not go to the worker. */
async function fillUp(ends: Ends, channel: string, last: number): Promise<number> {
  let offset = last;
  while (ends.hubEnd.unconsumedBytes < BACKLOG_BYTES) {
    offset += 1;
    ends.hubEnd.onPublication(publicationOf(channel, 'x'.repeat(1_000), offset));
    await nextTurn();
  }
  ends.hubEnd.onPublication(publicationOf(channel, 'x', offset + 1));
  return offset + 1;
}

/** The worker handles all that it was posted, and the hub is told. */
async function workOff(ends: Ends): Promise<void> {
  await ends.deliverToWorker();
  await ends.deliverToHub();
  await nextTurn();
}

function published(from: number, to: number): unknown[] {
  return publicationsOf('a', from, to).map(({ offset }) => ['published', 'a', offset]);
}

function gapOf(from: number, to: number, epoch = EPOCH, reason = 'slow') {
  const lost = to - from + 1;
  return ['gap', { channel: 'a', epoch, from, to, lost, reason }];
}

describe('a worker and its hub across a port', () => {
  it('drops publications for a worker that handles nothing, and tells it the count', async () => {
    const ends = connectEnds();
    await hold(ends, 'a', 'b');
    const payload = 'x'.repeat(1_000);
    for (let i = 0; i < 30; i += 1) ends.hubEnd.onPublication(publicationOf('a', payload));
    for (let i = 0; i < 4; i += 1) ends.hubEnd.onPublication(publicationOf('b', payload));
    await nextTurn();
    expect(ends.hubEnd.unconsumedBytes).toBeLessThan(BACKLOG_BYTES + 1_500);
    const posted = ends.toWorker.length;
    for (let i = 0; i < 1_000; i += 1) ends.hubEnd.onPublication(publicationOf('a', payload));
    await nextTurn();
    expect(ends.toWorker).toHaveLength(posted);

    await ends.deliverToWorker();
    await ends.deliverToHub();
    expect(ends.hubEnd.unconsumedBytes).toBe(0);
    ends.hubEnd.onPublication(publicationOf('a', 'after'));
    await ends.deliverToWorker();
    const delivered = ends.told.filter((call) => (call as unknown[])[0] === 'published').length - 1;
    expect(ends.told.slice(delivered)).toEqual([
      ['gap', { channel: 'a', lost: 1_030 - delivered, reason: 'slow' }],
      ['gap', { channel: 'b', lost: 4, reason: 'slow' }],
      ['published', 'a'],
    ]);
  });

  it('does not grow by gaps for a worker that handles nothing: it tells them with what the worker misses', async () => {
    const ends = connectEnds();
    await hold(ends, 'plain');
    ends.workerEnd.declare('b');
    const first = await overflow(ends);
    ends.hubEnd.onAcknowledged([
      { channel: 'b', wire: wireOf(2), position: { epoch: EPOCH, offset: 0 } },
    ]);
    await nextTurn();
    const before = ends.hubEnd.unconsumedBytes;
    const unreadable = { channel: 'b', epoch: EPOCH, lost: 1, reason: 'unreadable' } as const;
    for (let offset = 1; offset <= 1_000; offset += 1) {
      ends.hubEnd.onGap({ ...unreadable, from: offset, to: offset });
      ends.hubEnd.onGap({ channel: 'plain', lost: 2, reason: 'link' });
    }
    await nextTurn();
    expect(ends.hubEnd.unconsumedBytes).toBe(before);
    await workOff(ends);
    ends.answer(first, first);
    ends.answer(1, 1_000, EPOCH, undefined, [{ from: 1, to: 1_000, reason: 'unreadable' }]);
    await workOff(ends);
    expect(ends.told.slice(-3)).toEqual([
      ['gap', { channel: 'plain', lost: 2_000, reason: 'slow' }],
      ['published', 'a', first],
      ['gap', { ...unreadable, from: 1, to: 1_000, lost: 1_000 }],
    ]);
  });

  it('posts nothing after the worker has ended', async () => {
    const ends = connectEnds();
    ends.hubEnd.onPublication(publicationOf('a', 1));
    ends.hubEnd.close();
    ends.hubEnd.onPublication(publicationOf('a', 2));
    await nextTurn();
    expect(ends.toWorker).toEqual([]);
  });
});

describe('what a worker misses because it is behind', () => {
  it('is filled in from history, in order, before anything newer', async () => {
    const ends = connectEnds();
    await hold(ends, 'b');
    const missed = await overflow(ends);
    await workOff(ends);
    expect(ends.asked).toEqual([['a', missed]]);
    ends.hubEnd.onPublication(publicationOf('a', 'newer', missed + 1));
    ends.hubEnd.onPublication(publicationOf('b', 'other'));
    ends.answer(missed, missed + 1);
    ends.hubEnd.onPublication(publicationOf('a', 'newest', missed + 2));
    await ends.deliverToWorker();
    expect(ends.told.slice(1)).toEqual([
      ...published(11, missed - 1),
      ['published', 'b'],
      ...published(missed, missed + 2),
    ]);
  });

  it('takes several answers when it is long', async () => {
    const ends = connectEnds();
    const missed = await overflow(ends);
    for (const { offset } of publicationsOf('a', missed + 1, missed + 9)) {
      ends.hubEnd.onPublication(publicationOf('a', 'x', offset));
    }
    await workOff(ends);
    ends.answer(missed, missed + 3);
    await workOff(ends);
    expect(ends.asked).toEqual([['a', missed + 4]]);
    ends.answer(missed + 4, missed + 9);
    await workOff(ends);
    expect(ends.asked).toEqual([]);
    expect(ends.told.slice(1)).toEqual(published(11, missed + 9));
  });

  it('is a gap where history does not hold it', async () => {
    const ends = connectEnds();
    const missed = await overflow(ends);
    ends.hubEnd.onGap({
      ...{ channel: 'a', epoch: EPOCH, from: missed + 1, to: missed + 2, lost: 2 },
      reason: 'too_large',
    });
    ends.hubEnd.onPublication(publicationOf('a', 'x', missed + 3));
    await workOff(ends);
    ends.answer(missed + 3, missed + 3);
    await ends.deliverToWorker();
    expect(ends.told.slice(1)).toEqual([
      ...published(11, missed - 1),
      gapOf(missed, missed + 2),
      ...published(missed + 3, missed + 3),
    ]);
  });

  it('is a gap with its own reason where history holds what nobody can read', async () => {
    const ends = connectEnds();
    const missed = await overflow(ends);
    for (let i = 1; i <= 5; i += 1) ends.hubEnd.onPublication(publicationOf('a', 'x', missed + i));
    await workOff(ends);
    ends.answer(missed - 2, missed + 5, EPOCH, undefined, [
      { from: missed - 1, to: missed, reason: 'unreadable' },
      { from: missed + 3, to: missed + 3, reason: 'too_large' },
      { from: missed + 5, to: missed + 5, reason: 'trimmed' },
    ]);
    ends.hubEnd.onPublication(publicationOf('a', 'x', missed + 6));
    await ends.deliverToWorker();
    expect(ends.told.slice(1)).toEqual([
      ...published(11, missed - 1),
      gapOf(missed, missed, EPOCH, 'unreadable'),
      ...published(missed + 1, missed + 2),
      gapOf(missed + 3, missed + 3, EPOCH, 'too_large'),
      ...published(missed + 4, missed + 4),
      gapOf(missed + 5, missed + 5, EPOCH, 'trimmed'),
      ...published(missed + 6, missed + 6),
    ]);
  });

  it('passes on the gaps of an answer to a request of the worker', async () => {
    const ends = connectEnds();
    ends.workerEnd.declare('a');
    await ends.deliverToHub();
    ends.hubEnd.onAcknowledged([
      { channel: 'a', wire: wireOf(1), position: { epoch: EPOCH, offset: 10 } },
    ]);
    ends.readHistory('a', 8);
    await ends.deliverToHub();
    await nextTurn();
    const gap = { from: 9, to: 9, reason: 'unreadable' } as const;
    ends.answer(8, 10, EPOCH, undefined, [gap]);
    await ends.deliverToWorker();
    expect(ends.told.at(-1)).toEqual(['history', 'a', 8, 10, gap]);
  });

  it('sends a worker nothing of what it will not take, and asks for what was missed in another way', async () => {
    const ends = connectEnds();
    const missed = await overflow(ends);
    await workOff(ends);
    expect(ends.fillIns).toEqual([['a', missed]]);
    ends.answer(missed, missed);
    ends.readHistory('a', 1);
    await ends.deliverToHub();
    await nextTurn();
    const posted = ends.hubEnd.unconsumedBytes;
    const publications = publicationsOf('a', 5, missed).map((one) => one);
    ends.answerTooLong('a', 5, publications);
    await nextTurn();
    expect(ends.hubEnd.unconsumedBytes - posted).toBeLessThan(300);
    await ends.deliverToWorker();
    expect(ends.told.at(-1)).toEqual(['history', 'a']);
    expect(ends.fillIns).toHaveLength(1);
  });

  it.each([
    ['the hub cannot answer', '', 'unavailable'],
    ['the answer is of another epoch', 'other', undefined],
    ['nothing is left of it', EPOCH, undefined],
  ] as const)('is a gap when %s', async (_, epoch, code) => {
    const ends = connectEnds();
    const missed = await overflow(ends);
    await workOff(ends);
    ends.answer(missed + 1, epoch === EPOCH ? missed : missed + 1, epoch, code);
    ends.hubEnd.onPublication(publicationOf('a', 'x', missed + 1));
    await ends.deliverToWorker();
    expect(ends.told.slice(-2)).toEqual([
      gapOf(missed, missed),
      ...published(missed + 1, missed + 1),
    ]);
  });

  it('is a gap at once where there is no history', async () => {
    const ends = connectEnds(false);
    const missed = await overflow(ends);
    await workOff(ends);
    await ends.deliverToWorker();
    expect(ends.told.at(-1)).toEqual(gapOf(missed, missed));
    expect(ends.asked).toEqual([]);
  });

  it('is a gap of its epoch when that ends meanwhile, and a later answer is ignored', async () => {
    const ends = connectEnds();
    const missed = await overflow(ends);
    await workOff(ends);
    ends.hubEnd.onResync({ channel: 'a', epoch: 'next', offset: 5 });
    ends.hubEnd.onPublication(publicationOf('a', 'x', 6));
    ends.answer(missed, missed);
    await ends.deliverToWorker();
    expect(ends.told.slice(-3)).toEqual([
      gapOf(missed, missed),
      ['resync', { channel: 'a', epoch: 'next', offset: 5 }],
      ['published', 'a', 6],
    ]);
  });

  it('starts anew in another epoch: a late answer about the old epoch is ignored', async () => {
    const ends = connectEnds();
    const before = await overflow(ends);
    await workOff(ends);
    ends.hubEnd.onResync({ channel: 'a', epoch: 'next', offset: 5 });
    const missed = await fillUp(ends, 'a', 5);
    ends.answer(before, before);
    await workOff(ends);
    expect(ends.asked).toEqual([['a', missed]]);
    ends.answer(missed, missed, 'next');
    await ends.deliverToWorker();
    expect(ends.told.at(-1)).toEqual(['published', 'a', missed]);
  });

  it('is forgotten when the channel is refused', async () => {
    const ends = connectEnds();
    await overflow(ends);
    ends.hubEnd.onRefused(['a'], 'unavailable');
    await workOff(ends);
    expect(ends.asked).toEqual([]);
    ends.workerEnd.declare('a');
    await ends.deliverToHub();
    ends.hubEnd.onAcknowledged([
      { channel: 'a', wire: wireOf(2), position: { epoch: EPOCH, offset: 30 } },
    ]);
    ends.hubEnd.onPublication(publicationOf('a', 'x', 31));
    await ends.deliverToWorker();
    expect(ends.told.slice(-3)).toEqual([
      ['refused', 'a', 'unavailable'],
      ['acknowledged', 'a'],
      ['published', 'a', 31],
    ]);
  });

  it('is counted where it has no offsets, beside publications with offsets', async () => {
    const ends = connectEnds();
    await hold(ends, 'b');
    const missed = await overflow(ends);
    ends.hubEnd.onPublication(publicationOf('a', 'plain'));
    ends.hubEnd.onPublication(publicationOf('b', 'plain'));
    await workOff(ends);
    ends.hubEnd.onGap({ channel: 'a', reason: 'link' });
    ends.answer(missed, missed);
    await ends.deliverToWorker();
    const plain = (channel: string) => ['gap', { channel, lost: 1, reason: 'slow' }];
    expect(ends.told.slice(missed - 10)).toEqual([
      ...[plain('a'), plain('b')],
      ...published(missed, missed),
      ['gap', { channel: 'a', reason: 'link' }],
    ]);
  });
});

describe('a history that a worker requests', () => {
  it('is not read while the worker is behind by more than half, and then for a few channels at a time', async () => {
    const ends = connectEnds();
    const channels = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6'];
    for (const channel of channels) ends.workerEnd.declare(channel);
    await ends.deliverToHub();
    const position = { epoch: EPOCH, offset: 10 };
    ends.hubEnd.onAcknowledged(channels.map((channel) => ({ channel, wire: wireOf(1), position })));
    for (let i = 0; i < 7; i += 1) ends.hubEnd.onPublication(publicationOf('b', 'x'.repeat(1_000)));
    await nextTurn();
    for (const channel of channels) ends.readHistory(channel, 5);
    await ends.deliverToHub();
    await nextTurn();
    expect(ends.asked).toEqual([]);
    await workOff(ends);
    expect(ends.asked.map(([channel]) => channel)).toEqual(['c1', 'c2', 'c3', 'c4']);
    for (let i = 0; i < 4; i += 1) ends.answer(5, 10);
    await workOff(ends);
    expect(ends.asked.map(([channel]) => channel)).toEqual(['c5', 'c6']);
    expect(ends.told.slice(-4)).toEqual(
      channels.slice(0, 4).map((channel) => ['history', channel, 5, 6, 7, 8, 9, 10]),
    );
  });

  it('is answered behind what it misses of the channel', async () => {
    const ends = connectEnds();
    ends.workerEnd.declare('a');
    await ends.deliverToHub();
    const position = { epoch: EPOCH, offset: 10 };
    ends.hubEnd.onAcknowledged([{ channel: 'a', wire: wireOf(1), position }]);
    ends.readHistory('a', 5);
    await ends.deliverToHub();
    await nextTurn();
    expect(ends.asked).toEqual([['a', 5]]);
    const missed = await fillUp(ends, 'a', 10);
    ends.answer(5, missed);
    await workOff(ends);
    expect(ends.asked).toEqual([['a', missed]]);
    ends.answer(missed, missed);
    await workOff(ends);
    expect(ends.asked).toEqual([['a', 5]]);
    ends.answer(missed, missed);
    await workOff(ends);
    expect(ends.told.slice(-2)).toEqual([
      ['published', 'a', missed],
      ['history', 'a', missed],
    ]);
  });

  it('is told the end of a channel behind what it misses of it', async () => {
    const ends = connectEnds();
    ends.workerEnd.declare('a');
    await ends.deliverToHub();
    const position = { epoch: EPOCH, offset: 10 };
    ends.hubEnd.onAcknowledged([{ channel: 'a', wire: wireOf(1), position }]);
    ends.confirmEnd('a');
    await ends.deliverToHub();
    await nextTurn();
    expect(ends.ends).toHaveLength(1);
    const missed = await fillUp(ends, 'a', 10);
    ends.ends.shift()?.(undefined);
    await workOff(ends);
    expect(ends.ends, 'the hub is asked again behind what is filled in').toEqual([]);
    ends.answer(missed, missed);
    await workOff(ends);
    ends.ends.shift()?.(undefined);
    await workOff(ends);
    expect(ends.told.slice(-2)).toEqual([
      ['published', 'a', missed],
      ['end', 'a', undefined],
    ]);
  });

  it('is not told the end of a channel that it dropped meanwhile', async () => {
    const ends = connectEnds();
    ends.workerEnd.declare('a');
    ends.confirmEnd('a');
    await ends.deliverToHub();
    await nextTurn();
    ends.workerEnd.drop('a');
    ends.workerEnd.declare('a');
    ends.ends.shift()?.('unavailable');
    await ends.deliverToWorker();
    expect(ends.told).toEqual([]);
  });
});

describe('the reference of a channel', () => {
  const reference = (id: number, data = '""') => ({
    ...wireOf(1),
    reference: { id, data, frame: new Uint8Array(0) },
  });

  it('is forgotten by a worker that wants nothing deflated any more, and none is taken meanwhile', async () => {
    const ends = connectEnds();
    await hold(ends, 'a');
    ends.workerEnd.wantDeflated('a', true);
    ends.hubEnd.onReference('a', reference(2));
    await ends.deliverToWorker();
    expect(ends.told).toEqual([['reference', 'a', 2]]);
    expect(ends.wires.get('a')?.reference?.id).toBe(2);
    ends.workerEnd.wantDeflated('a', false);
    expect(ends.wires.get('a')?.reference).toBeUndefined();
    // This one was on its way.
    ends.hubEnd.onReference('a', reference(3));
    await ends.deliverToWorker();
    expect(ends.wires.get('a')?.reference).toBeUndefined();
    ends.workerEnd.wantDeflated('a', true);
    ends.hubEnd.onReference('a', reference(17));
    await ends.deliverToWorker();
    expect(ends.told.slice(1)).toEqual([['reference', 'a', 17]]);
  });

  it('is only the latest for a worker that falls behind, which comes before what follows', async () => {
    const ends = connectEnds();
    await overflow(ends);
    ends.workerEnd.wantDeflated('a', true);
    await nextTurn();
    const before = ends.hubEnd.unconsumedBytes;
    for (let id = 1; id <= 100; id += 1)
      ends.hubEnd.onReference('a', reference(id, 'x'.repeat(1_000)));
    await nextTurn();
    expect(ends.hubEnd.unconsumedBytes).toBe(before);
    await workOff(ends);
    await ends.deliverToWorker();
    const references = ends.told.filter((one) => Array.isArray(one) && one[0] === 'reference');
    expect(references).toEqual([['reference', 'a', 100]]);
    ends.hubEnd.onReference('a', reference(101));
    await ends.deliverToWorker();
    expect(ends.told.at(-1)).toEqual(['reference', 'a', 101]);
  });
});
