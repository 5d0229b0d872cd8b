import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { needsSendWindow, SendWindow } from './send-window.ts';

const KIB = 1024;

afterEach(() => {
  vi.restoreAllMocks();
});

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
  });

  it('lets a client that has answered eight pings have more on its way, until it is late with an answer', () => {
    const { window, marks, clock } = start();
    for (let i = 0; i < 8; i += 1) {
      window.wrote(120 * KIB);
      expect(window.answer(marks.at(-1) as Buffer)).toBe(true);
    }
    clock.now = 10_000;
    for (let i = 0; i < 20; i += 1) expect(window.wrote(120 * KIB)).toBe(false);
    expect(marks.length, 'pings are 250 ms apart').toBe(9);
    clock.now += 250;
    expect(window.wrote(120 * KIB)).toBe(false);
    clock.now += 1_700;
    expect(window.wrote(120 * KIB)).toBe(false);
    clock.now += 100;
    expect(window.wrote(120 * KIB), 'two seconds after the first ping').toBe(true);
    expect(window.isShut).toBe(true);
    window.answer(marks[9] as Buffer);
    expect(window.isShut, 'two are unanswered still').toBe(true);
    window.answer(marks.at(-1) as Buffer);
    expect(window.isShut).toBe(false);
    window.wrote(120 * KIB);
    expect(window.wrote(120 * KIB), 'it must show again that it reads').toBe(true);
  });

  it('gives a client that never answered no more than the first two pings', () => {
    const { window } = start();
    let kib = 0;
    for (; !window.isShut; kib += 40) window.wrote(40 * KIB);
    expect(kib).toBe(240);
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

  it('works when the numbers begin again', () => {
    const { window, marks, clock } = start();
    for (let i = 0; i < 70_000; i += 1) {
      expect(window.wrote(120 * KIB)).toBe(false);
      clock.now += 1_000;
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
  const clock = { now: 0 };
  vi.spyOn(performance, 'now').mockImplementation(() => clock.now);
  const window = new SendWindow({ ping: (mark) => marks.push(Buffer.from(mark!)) });
  return { marks, window, clock };
}
