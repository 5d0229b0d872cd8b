import { fork } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Departures } from './departures.ts';

const PROGRAM = new URL('./testing/collect-old-generation.ts', import.meta.url);

const LOOK_MS = 10_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Departures of which each collection is counted; `tell` is V8 collecting by itself. */
function scene(stayed = 0) {
  let collections = 0;
  let tell = (): void => {};
  const departures = new Departures(
    () => stayed,
    {
      watch(collected) {
        tell = collected;
        return () => {};
      },
      collect() {
        collections += 1;
      },
    },
    LOOK_MS,
  );
  return {
    departures,
    tell: () => tell(),
    leave(count: number) {
      for (let i = 0; i < count; i += 1) departures.count();
    },
    /** Collections that so many looks brought. */
    look(times = 1) {
      const before = collections;
      vi.advanceTimersByTime(times * LOOK_MS);
      return collections - before;
    },
  };
}

describe('Departures', () => {
  it('collects once, when a wave is over', () => {
    const { leave, look } = scene();
    leave(1_000);
    expect(look()).toBe(0);
    leave(1_500);
    expect(look()).toBe(0);
    leave(10);
    expect(look()).toBe(1);
    expect(look(10)).toBe(0);
  });

  it('is in no hurry where clients leave all the time', () => {
    const { leave, look } = scene();
    for (let i = 0; i < 9; i += 1) {
      leave(1_000);
      expect(look()).toBe(0);
    }
    leave(1_000);
    expect(look()).toBe(1);
  });

  it('leaves few departures to V8, whether in number or for those that stayed', () => {
    const few = scene();
    few.leave(255);
    expect(few.look(3)).toBe(0);
    few.leave(1);
    expect(few.look()).toBe(1);
    const crowd = scene(10_000);
    crowd.leave(999);
    expect(crowd.look(3)).toBe(0);
    crowd.leave(1);
    expect(crowd.look()).toBe(1);
  });

  it('collects nothing that V8 has collected since', () => {
    const { leave, look, tell } = scene();
    leave(1_000);
    look();
    leave(200);
    expect(look()).toBe(0);
    tell();
    expect(look(3)).toBe(0);
  });

  it('remembers those that left while V8 may have been marking', () => {
    const { leave, look, tell } = scene();
    leave(1_000);
    look();
    leave(1_000);
    tell();
    expect(look(2)).toBe(1);
  });

  it('looks no more when it has ended', () => {
    const { departures, leave, look } = scene();
    leave(1_000);
    departures.stop();
    departures.stop();
    expect(look(3)).toBe(0);
  });
});

describe('V8_OLD_GENERATION', () => {
  it('is collected, and tells of it, in a worker thread as well', async () => {
    const [own, worker] = await Promise.all([
      run(fork(PROGRAM, { execArgv: [] })),
      run(new Worker(PROGRAM)),
    ]);
    const expected = { isCollected: true, toldOfMajor: 1, toldOfMinor: 0 };
    expect(own).toEqual(expected);
    expect(worker).toEqual(expected);
  });
});

async function run(program: EventEmitter): Promise<unknown> {
  const [message] = await once(program, 'message');
  return message;
}
