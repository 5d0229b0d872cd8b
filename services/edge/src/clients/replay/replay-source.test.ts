import {
  firstOffsetOf,
  type Hole,
  isHole,
  PublicationLog,
  type Replay,
  ReplayMemory,
} from '@tradewind/fanout';
import { describe, expect, it } from 'vitest';
import { publicationOf, publicationsOf } from '../testing/fake-upstream.ts';
import { ReplaySource } from './replay-source.ts';

const EPOCH = 'k3x9';

function setUp(at = 100, bytes = 1_000_000) {
  const log = new PublicationLog(bytes);
  const memory = new ReplayMemory(bytes, () => {});
  const history = new ReplaySource('a', log, memory);
  history.beginAt({ epoch: EPOCH, offset: at });
  return {
    ...{ log, memory, history },
    publish(from: number, to: number) {
      for (const publication of publicationsOf('a', from, to)) {
        log.append(publication);
        history.addPublication(publication);
      }
    },
    plain() {
      log.append(publicationOf('a', 'plain'));
    },
    ask(from: number) {
      history.beginRead(from);
      return (publications = publicationsOf('a', from, at), epoch = EPOCH) =>
        history.storeRead(epoch, publications);
    },
  };
}

function offsetsOf(replay: Replay | undefined): number[] {
  return itemsOf(replay).map(firstOffsetOf);
}

function itemsOf(replay: Replay | undefined) {
  if (replay === undefined) return [];
  const { excerpt, firstIndex, endIndex } = replay;
  return Array.from({ length: endIndex - firstIndex }, (_, i) => excerpt.at(firstIndex + i));
}

function told(replay: Replay | undefined): string[] {
  return itemsOf(replay).map((item) =>
    isHole(item)
      ? `${item.reason} ${Math.max(item.from, replay?.from ?? 0)}..${item.to}`
      : `${item.offset}`,
  );
}

function hole(from: number, to: number, reason: Hole['reason'] = 'link'): Hole {
  return { from, to, reason };
}

function offsets(from: number, to: number): number[] {
  return publicationsOf('a', from, to).map(({ offset }) => offset);
}

describe('ReplaySource: publications of the feed', () => {
  it('are held from the first one on', () => {
    const { history, publish } = setUp();
    expect(history.find(101)).toEqual({ kind: 'held' });
    publish(101, 110);
    expect(history.position).toEqual({ epoch: EPOCH, offset: 110 });
    expect(history.find(101)).toEqual({ kind: 'held' });
    expect(history.find(100)).toEqual({ kind: 'unread', oldest: 101 });
    expect(offsetsOf(history.takeLatest(4))).toEqual([107, 108, 109, 110]);
    expect(history.takeLatest(0)).toBeUndefined();
  });

  it('are held only of this epoch and behind the last hole, across publications without offsets', () => {
    const { history, publish, plain } = setUp();
    publish(101, 102);
    history.addGap(hole(103, 103));
    expect(history.find(103)).toEqual({ kind: 'unread', oldest: 104 });
    publish(104, 105);
    plain();
    publish(106, 106);
    expect(history.find(102)).toEqual({ kind: 'unread', oldest: 104 });
    expect(offsetsOf(history.takeLatest(3))).toEqual([104, 105, 106]);
    history.beginAt({ epoch: 'next', offset: 106 });
    expect(history.find(106)).toEqual({ kind: 'unread', oldest: 107 });
  });

  it('are held as long as the log holds them', () => {
    const { history, publish } = setUp(0, 10_000);
    publish(1, 200);
    const found = history.find(1);
    expect(found.kind).toBe('unread');
    expect(history.find((found as { oldest: number }).oldest)).toEqual({ kind: 'held' });
  });
});

describe('ReplaySource: answers of the node', () => {
  it('are pending until they come, and final until they are forgotten', () => {
    const { history, ask } = setUp();
    const answer = ask(61);
    expect(history.find(61)).toEqual({ kind: 'unread', oldest: 101 });
    expect(history.find(80)).toEqual({ kind: 'unread', oldest: 101 });
    answer(publicationsOf('a', 71, 100));
    expect(history.find(71)).toEqual({ kind: 'held' });
    expect(history.find(65)).toEqual({ kind: 'gone', oldest: 71, reason: 'history_trimmed' });
    history.forgetRead();
    expect(history.find(60)).toEqual({ kind: 'gone', oldest: 101, reason: 'history_trimmed' });
    expect(history.find(71)).toEqual({ kind: 'unread', oldest: 101 });
  });

  it('reach the present: publications since the request are appended', () => {
    const { history, log, publish, ask } = setUp(100, 20_000);
    const answer = ask(91);
    publish(101, 103);
    for (let i = 0; i < 100; i += 1) log.append({ ...publicationOf('other', i), offset: i + 1 });
    expect(log.fromEnd('a', 0), 'the log has moved on').toBeUndefined();
    answer();
    expect(offsetsOf(history.takeLatest(13))).toEqual(offsets(91, 103));
  });

  it('count only behind their last hole, and not at all without their end', () => {
    const { history, ask } = setUp();
    ask(91)(publicationsOf('a', 91, 99));
    expect(history.find(95)).toEqual({ kind: 'gone', oldest: 101, reason: 'history_trimmed' });
    ask(91)([...publicationsOf('a', 91, 94), ...publicationsOf('a', 96, 100)]);
    expect(history.find(91)).toMatchObject({ kind: 'gone', oldest: 96 });
    expect(offsetsOf(history.takeLatest(5))).toEqual(offsets(96, 100));
  });

  it('are used in order, never twice, and never beyond the channel’s end', () => {
    const { history, ask } = setUp();
    ask(98)([...publicationsOf('a', 98, 100), ...publicationsOf('a', 99, 102)]);
    expect(offsetsOf(history.takeLatest(3))).toEqual([98, 99, 100]);
  });

  it('are ignored after a new epoch has begun, and show a new epoch if they are of another', () => {
    const { history, ask } = setUp();
    const answer = ask(91);
    history.beginAt({ epoch: 'next', offset: 100 });
    answer();
    expect(history.find(95)).toEqual({ kind: 'unread', oldest: 101 });
    ask(91)(publicationsOf('a', 91, 100), 'third');
    expect(history.find(95)).toEqual({ kind: 'gone', oldest: 101, reason: 'epoch_changed' });
  });

  it('are refused if they would take more than half of the memory for replays', () => {
    const { history, ask } = setUp(100, 20_000);
    ask(41)();
    expect(history.find(41)).toEqual({ kind: 'gone', oldest: 101, reason: 'history_too_long' });
    ask(81)();
    expect(history.find(81)).toEqual({ kind: 'held' });
  });

  it('are not requested again while the node says that they are too long; a shorter part is', () => {
    const { history, publish, ask } = setUp();
    ask(1);
    history.rejectRead(EPOCH, 61);
    history.forgetRead();
    for (const from of [1, 60])
      expect(history.find(from)).toEqual({ kind: 'gone', oldest: 101, reason: 'history_too_long' });
    expect(history.find(61)).toEqual({ kind: 'unread', oldest: 101 });
    publish(101, 120);
    expect(history.find(60), 'it has only grown').toMatchObject({ kind: 'gone' });
    expect(history.find(101), 'what is here needs no node').toEqual({ kind: 'held' });
    history.beginAt({ epoch: 'next', offset: 120 });
    expect(history.find(1)).toMatchObject({ kind: 'unread' });
  });

  it('are given up if too much is published while they are pending', () => {
    const { history, publish, ask } = setUp(100, 20_000);
    const answer = ask(91);
    publish(101, 180);
    answer();
    expect(history.find(91)).toMatchObject({ kind: 'gone', reason: 'history_too_long' });
  });
});

describe('ReplaySource: undeliverable publications', () => {
  it('keep their place among those of the feed, and cause no read', () => {
    const { history, publish } = setUp();
    publish(101, 102);
    history.addGap(hole(103, 103, 'unreadable'));
    history.addGap(hole(104, 105, 'unreadable'));
    publish(106, 106);
    history.addGap(hole(107, 107, 'too_large'));
    expect(history.find(101)).toEqual({ kind: 'held' });
    expect(told(history.takeLatest(7))).toEqual([
      ...['101', '102', 'unreadable 103..105', '106', 'too_large 107..107'],
    ]);
    const within = history.takeLatest(4);
    expect(told(within)).toEqual(['unreadable 104..105', '106', 'too_large 107..107']);
    expect(within).toMatchObject({ from: 104, count: 1 });
    expect(told(history.takeLatest(1))).toEqual(['too_large 107..107']);
  });

  it('keep their place in an answer, and among those that came since the request', () => {
    const { history, publish, ask } = setUp();
    const answer = ask(91);
    history.addGap(hole(101, 101, 'slow'));
    publish(102, 102);
    answer([
      ...[...publicationsOf('a', 91, 94), hole(95, 98, 'too_large')],
      ...[...publicationsOf('a', 99, 100), hole(101, 101, 'trimmed')],
    ] as never);
    expect(history.find(91)).toEqual({ kind: 'held' });
    expect(told(history.takeLatest(12))).toEqual([
      ...['91', '92', '93', '94', 'too_large 95..98', '99', '100', 'trimmed 101..101', '102'],
    ]);
  });

  it('are remembered of the feed up to a bound: the node knows the older ones', () => {
    const { history, publish } = setUp();
    for (let offset = 101; offset <= 300; offset += 2) {
      history.addGap(hole(offset, offset, 'unreadable'));
      publish(offset + 1, offset + 1);
    }
    const found = history.find(101) as { kind: string; oldest: number };
    expect(found.kind).toBe('unread');
    expect(found.oldest).toBeGreaterThan(200);
    expect(history.find(found.oldest)).toEqual({ kind: 'held' });
  });
});

describe('ReplaySource: an excerpt', () => {
  it('is shared, and counts once, while a client holds it', () => {
    const { history, memory, ask } = setUp();
    ask(41)();
    const replays = [60, 30, 10].map((count) => history.takeLatest(count) as Replay);
    for (const { excerpt } of replays) excerpt.hold();
    expect(new Set(replays.map(({ excerpt }) => excerpt)).size).toBe(1);
    const { bytes } = memory;
    history.forgetRead();
    expect(history.find(41)).toEqual({ kind: 'held' });
    for (const { excerpt } of replays.slice(1)) excerpt.release();
    expect(memory.bytes).toBe(bytes);
    replays[0]?.excerpt.release();
    expect(memory.bytes).toBe(0);
    expect(history.find(41)).toMatchObject({ kind: 'unread' });
  });

  it('grows with newer publications, for a client that needs much of it', () => {
    const { history, publish, ask } = setUp();
    ask(61)();
    const first = history.takeLatest(40);
    first?.excerpt.hold();
    history.forgetRead();
    publish(101, 110);
    const second = history.takeLatest(45);
    expect(second?.excerpt).toBe(first?.excerpt);
    expect(offsetsOf(second)).toEqual(offsets(66, 110));
    expect(offsetsOf(first)).toEqual(offsets(61, 100));
    const third = history.takeLatest(5);
    expect(third?.excerpt, 'for little, what came on the feed is enough').not.toBe(first?.excerpt);
    expect(offsetsOf(third)).toEqual(offsets(106, 110));
  });

  it('is of no use behind a hole', () => {
    const { history, publish, ask } = setUp();
    ask(96)();
    history.takeLatest(5)?.excerpt.hold();
    history.forgetRead();
    history.addGap(hole(101, 101));
    publish(102, 110);
    expect(history.find(96)).toEqual({ kind: 'unread', oldest: 102 });
    expect(offsetsOf(history.takeLatest(9))).toEqual(offsets(102, 110));
  });
});
