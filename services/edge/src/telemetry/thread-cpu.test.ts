import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { fanOutThreadName, parseThreadStat, readThreadCpu } from './thread-cpu.ts';

const FIELDS = '9059 9059 3270 0 -1 4194624 2960 0 3 0 240 12 0 0 20 0 9 0 100';

describe('parseThreadStat', () => {
  it('reads the time of a fan-out worker and of the main thread', () => {
    expect(parseThreadStat(`71 (fan-out 3) R ${FIELDS}`, 64)).toEqual({
      thread: 'fan-out 3',
      seconds: 2.52,
    });
    expect(parseThreadStat(`64 (MainThread) S ${FIELDS}`, 64)).toEqual({
      thread: 'main',
      seconds: 2.52,
    });
  });

  it('leaves out the threads of V8 and libuv, and what it does not understand', () => {
    expect(parseThreadStat(`65 (V8Worker) S ${FIELDS}`, 64)).toBeUndefined();
    expect(parseThreadStat('nonsense', 64)).toBeUndefined();
  });

  it('is not misled by parentheses in a name', () => {
    expect(parseThreadStat(`64 (a) b) (c) S ${FIELDS}`, 64)?.seconds).toBe(2.52);
  });
});

describe('readThreadCpu', () => {
  it.runIf(process.platform === 'linux')(
    'tells the time of a worker that is too busy to answer',
    async () => {
      const busy = new Worker(
        `const { parentPort } = require('node:worker_threads');
         parentPort.postMessage('busy');
         for (;;);`,
        { eval: true, name: fanOutThreadName(63) },
      );
      await once(busy, 'message');
      try {
        const usedBy = () =>
          readThreadCpu().find(({ thread }) => thread === fanOutThreadName(63))?.seconds ?? 0;
        await expect.poll(usedBy, { timeout: 10_000 }).toBeGreaterThan(0.05);
      } finally {
        await busy.terminate();
      }
    },
  );

  it('tells the time of this thread’s process, and of no helper of the runtime', () => {
    const threads = readThreadCpu().map(({ thread }) => thread);
    expect(threads.filter((thread) => !thread.startsWith('fan-out'))).toEqual(['main']);
  });
});
