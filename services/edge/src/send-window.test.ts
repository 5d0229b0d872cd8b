import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { needsSendWindow, SendWindow } from './send-window.ts';

const KIB = 1024;

describe('SendWindow', () => {
  it('pings behind every 120 KiB, and shuts while two pings are unanswered', () => {
    const { window, marks } = start();
    const shutAfter: number[] = [];
    for (let kib = 30; kib <= 240; kib += 30) {
      if (window.wrote(30 * KIB)) shutAfter.push(kib);
    }
    expect([marks.length, shutAfter, window.isShut]).toEqual([2, [240], true]);
    expect(window.answer(marks[0] as Buffer)).toBe(true);
    expect(window.isShut).toBe(false);
    expect(window.wrote(120 * KIB)).toBe(true);
  });

  it('takes the answer to a ping for one to those before', () => {
    const { window, marks } = start();
    window.wrote(120 * KIB);
    window.wrote(120 * KIB);
    expect(window.answer(marks[1] as Buffer)).toBe(true);
    expect(window.answer(marks[0] as Buffer), 'answered already').toBe(false);
    expect(window.wrote(120 * KIB)).toBe(false);
  });

  it('counts a write by its size, if that is larger than all of it', () => {
    const { window, marks } = start();
    expect(window.wrote(1024 * KIB)).toBe(true);
    expect(marks).toHaveLength(1);
    window.answer(marks[0] as Buffer);
    expect(window.isShut).toBe(false);
  });

  it('takes nothing else for an answer', () => {
    const { window, marks } = start();
    expect(window.answer(Buffer.from([0, 0]))).toBe(false);
    window.wrote(120 * KIB);
    for (const payload of [[], [0], [0, 0], [0, 2], [255, 255], [0, 1, 0]]) {
      expect(window.answer(Buffer.from(payload))).toBe(false);
    }
    expect(window.answer(marks[0] as Buffer)).toBe(true);
  });

  it('goes on when the numbers begin again', () => {
    const { window, marks } = start();
    for (let i = 0; i < 70_000; i += 1) {
      expect(window.wrote(120 * KIB)).toBe(false);
      expect(window.answer(marks.pop() as Buffer)).toBe(true);
    }
  });
});

describe('needsSendWindow', () => {
  it.each([
    ['4096\t16384\t4194304\n', true],
    ['4096 16384 131072\n', false],
    ['4096 16384 524288\n', false],
    ['4096 16384 524289\n', true],
    ['', true],
    ['nonsense', true],
  ])('answers for sizes of %j', async (sizes, needed) => {
    const folder = await mkdtemp(join(tmpdir(), 'tcp-wmem-'));
    try {
      await writeFile(join(folder, 'tcp_wmem'), sizes);
      expect(needsSendWindow(join(folder, 'tcp_wmem'))).toBe(needed);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('takes it for needed where nobody can tell', () => {
    expect(needsSendWindow('/nowhere/tcp_wmem')).toBe(true);
  });
});

function start() {
  const marks: Buffer[] = [];
  return { marks, window: new SendWindow({ ping: (mark) => marks.push(Buffer.from(mark)) }) };
}
