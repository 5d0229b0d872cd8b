import { describe, expect, it } from 'vitest';
import { Backlog } from './backlog.ts';
import { countOf, type Missing, type Notice } from './losses.ts';
import { PublicationLog } from './publication-log.ts';
import { Excerpt, ReplayMemory } from './replay.ts';

const EVERYTHING = Number.POSITIVE_INFINITY;

/** What the log counts for each publication here. */
const ENTRY_BYTES = 256;

function setUp(logEntries = 1_000) {
  const log = new PublicationLog(logEntries * ENTRY_BYTES);
  const memory = new ReplayMemory(1_000_000, () => {});
  let backlog: Backlog | undefined;
  const made = (): Backlog => {
    backlog ??= new Backlog(log);
    return backlog;
  };
  const publication = (channel: string, offset: number) => {
    return { channel, offset, body: new Uint8Array(0), publishedAt: 0 };
  };
  const publish = (channel: string, ...offsets: readonly number[]): void => {
    for (const offset of offsets) log.append(publication(channel, offset));
  };
  return {
    ...{ log, memory, made, publish },
    refuse(channel: string, ...offsets: readonly number[]) {
      for (const offset of offsets) {
        publish(channel, offset);
        made().refuse(publication(channel, offset));
      }
    },
    promise(channel: string, ...offsets: readonly number[]) {
      const excerpt = new Excerpt(channel, memory);
      for (const offset of offsets) excerpt.append(publication(channel, offset));
      made().scheduleReplay(excerpt.replayFrom(offsets[0] ?? 0));
    },
    /** Promises these items from an offset on: publications by their offsets, and holes. */
    promisePast(channel: string, from: number, ...items: readonly (number | [number, number])[]) {
      const excerpt = new Excerpt(channel, memory);
      for (const item of items) {
        if (typeof item === 'number') excerpt.append(publication(channel, item));
        else excerpt.append({ from: item[0], to: item[1], reason: 'unreadable' });
      }
      made().scheduleReplay(excerpt.replayFrom(from));
    },
    /** Everything that it gives and tells from now on. */
    rest(): string[] {
      const told: string[] = [];
      while (!made().isOver) {
        for (const { channel, missing, epoch, frame, reason } of made().takeLosses() ?? []) {
          const why = reason === 'unreadable' ? ` ${reason}` : '';
          const of = `${epoch === undefined ? '' : ` of ${epoch}`}${why}`;
          told.push(`${frame === undefined ? 'lost' : 'told'} ${channel} ${textOf(missing)}${of}`);
        }
        for (
          let next = made().peek(EVERYTHING);
          next !== undefined;
          next = made().peek(EVERYTHING)
        ) {
          told.push(`${next.channel}${next.offset}`);
          made().shift();
        }
      }
      expect(made().owed).toBe(0);
      return told;
    },
  };
}

function gap(channel: string, from: number, to: number): Notice {
  const frame = new Uint8Array(1);
  return { channel, frame, missing: { kind: 'range', from, to, count: to - from + 1 } };
}

function end(channel: string, epoch: string): Notice {
  return { channel, frame: new Uint8Array(1), missing: { kind: 'epoch-end', epoch } };
}

function textOf(missing: Missing): string {
  const { from, to } = missing.kind === 'range' ? missing : { from: 0, to: 0 };
  return `${from}..${to}=${countOf(missing)}`;
}

describe('a backlog', () => {
  it('gives what was refused, promised and told in the order in which it was', () => {
    const { made, refuse, promise, rest } = setUp();
    refuse('a', 1, 2);
    promise('b', 5, 6);
    refuse('b', 7);
    refuse('a', 3);
    made().defer(gap('b', 8, 9));
    refuse('b', 10);
    expect(made().owed).toBe(7);
    expect(rest()).toEqual(['a1', 'a2', 'b5', 'b6', 'b7', 'a3', 'told b 8..9=2', 'b10']);
  });

  it('keeps what was promised when the log has moved on past all the rest', () => {
    const { publish, refuse, promise, rest } = setUp(10);
    refuse('a', 1, 2);
    promise('b', 5, 6);
    refuse('b', 7, 8);
    publish('c', ...Array(9).fill(0));
    expect(rest()).toEqual(['lost a 1..2=2', 'b5', 'b6', 'lost b 7..7=1', 'b8']);
  });

  it('tells the holes of a promise where they are; only publications take numbers', () => {
    const { made, refuse, promisePast, rest, memory } = setUp();
    refuse('a', 1);
    promisePast('b', 4, [3, 5], 6, [7, 7], 8, [9, 10]);
    refuse('b', 11);
    expect(made().owed).toBe(4);
    expect(rest()).toEqual([
      ...['a1', 'lost b 4..5=2 unreadable', 'b6', 'lost b 7..7=1 unreadable', 'b8'],
      ...['lost b 9..10=2 unreadable', 'b11'],
    ]);
    expect(memory.bytes).toBe(0);
  });

  it('tells a promise that is only a hole, and its epoch when a later notice ends that', () => {
    const { made, promisePast, rest } = setUp();
    promisePast('b', 4, [4, 5]);
    expect([made().isOver, made().owesReplay, made().owed]).toEqual([false, true, 0]);
    made().defer(end('b', 'old'));
    expect(rest()).toEqual(['lost b 4..5=2 of old unreadable', 'told b 0..0=0 of old']);
  });

  it('abandons what is left of a promise with its holes as one range', () => {
    const { made, promisePast, rest } = setUp();
    promisePast('b', 4, [3, 5], 6, [7, 7]);
    made().abandon();
    expect(rest()).toEqual(['lost b 4..7=4']);
  });

  it('knows which channels the client misses something of', () => {
    const { made, refuse, promise } = setUp();
    refuse('a', 1);
    promise('b', 5);
    made().defer(gap('c', 1, 1));
    expect(['a', 'b', 'c', 'd'].map((channel) => made().misses(channel))).toEqual([
      ...[true, true, true, false],
    ]);
    expect(made().owesReplay).toBe(true);
    for (const channel of ['a', 'b', 'c']) made().leave(channel);
    expect(['a', 'b', 'c'].map((channel) => made().misses(channel))).toEqual([false, false, false]);
    expect(made().owesReplay).toBe(false);
  });

  it('passes over what a client left behind, and gives what it is refused when it is back', () => {
    const { made, publish, refuse, promise, rest } = setUp();
    refuse('a', 1, 2);
    refuse('b', 1);
    made().leave('a');
    publish('a', 3);
    promise('a', 2, 3);
    refuse('a', 4);
    expect(rest()).toEqual(['b1', 'a2', 'a3', 'a4']);
  });

  it('neither gives nor tells what was left behind when the log has moved on', () => {
    const { made, publish, refuse, rest } = setUp(4);
    refuse('a', 1, 2);
    made().leave('a');
    refuse('a', 9);
    publish('c', ...Array(4).fill(0));
    refuse('a', 10);
    expect(rest()).toEqual(['lost a 9..9=1', 'a10']);
  });

  it('leaves the numbers of a replay that was left behind where they were', () => {
    const { made, refuse, promise, memory } = setUp();
    refuse('a', 1);
    promise('b', 5, 6, 7);
    refuse('a', 2);
    made().leave('b');
    expect([made().owed, memory.bytes]).toEqual([5, 0]);
    expect(made().peek(EVERYTHING)).toMatchObject({ channel: 'a', offset: 1 });
    made().shift();
    expect(made().peek(EVERYTHING)).toMatchObject({ channel: 'a', offset: 2 });
    expect(made().owed, 'the next takes the last number').toBe(1);
  });

  it('tells what is lost of an epoch under that epoch, before the next', () => {
    const { made, publish, refuse, promise, rest } = setUp(4);
    promise('a', 6, 7);
    refuse('a', 8);
    made().defer(end('a', 'E'));
    refuse('a', 1);
    made().defer(gap('a', 2, 3));
    made().defer(gap('a', 4, 4));
    made().defer(end('a', 'F'));
    refuse('a', 1);
    publish('c', ...Array(4).fill(0));
    expect(rest()).toEqual([
      ...['a6', 'a7', 'lost a 8..8=1 of E', 'told a 0..0=0 of E'],
      ...['lost a 1..1=1 of F', 'lost a 2..4=3 of F', 'told a 0..0=0 of F', 'lost a 1..1=1'],
    ]);
  });

  it('tells all that it gives up, each channel in its order', () => {
    const { made, refuse, promise, rest, memory } = setUp();
    refuse('a', 1, 2);
    promise('b', 5, 6);
    refuse('b', 7);
    made().defer(gap('a', 3, 4));
    refuse('a', 5);
    made().defer(end('a', 'E'));
    refuse('a', 1);
    made().abandon();
    expect([made().isOver, made().isWhole, made().misses('a'), memory.bytes]).toEqual([
      ...[false, false, true, 0],
    ]);
    refuse('a', 2);
    expect(made().peek(EVERYTHING)).toBeUndefined();
    expect(rest()).toEqual([
      ...['lost a 1..5=5 of E', 'told a 0..0=0 of E', 'lost a 1..1=1'],
      ...['lost b 5..6=2', 'lost b 7..7=1', 'a2'],
    ]);
  });

  it('does not gather notices without end', () => {
    const { made, refuse, rest } = setUp();
    for (let i = 1; i < 1_000; i += 2) {
      refuse('a', i);
      made().defer(gap('a', i + 1, i + 1));
    }
    const told = rest();
    expect(told[0]).toMatch(/^lost a 1\.\./);
    expect(told.length).toBeLessThan(300);
    expect(told.at(-1)).toBe('told a 1000..1000=1');
  });

  it('holds nothing for a client that is gone', () => {
    const { made, promise, refuse, memory } = setUp();
    promise('a', 1, 2);
    refuse('a', 3);
    made().end();
    expect([made().isOver, made().owed, memory.bytes]).toEqual([true, 0, 0]);
  });
});
