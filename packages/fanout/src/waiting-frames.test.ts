import { describe, expect, it } from 'vitest';
import { WaitingFrames } from './waiting-frames.ts';

const frameOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('WaitingFrames', () => {
  it('gives a frame one number for all entries in a row, and another to the next', () => {
    const frames = new WaitingFrames();
    const [a, b] = [frameOf('a'), frameOf('b')];
    const first = frames.hold(a);
    expect(frames.hold(a)).toBe(first);
    const second = frames.hold(b);
    expect(second).not.toBe(first);
    expect(frames.at(first)).toBe(a);
    expect(frames.at(second)).toBe(b);
    expect(frames.size).toBe(2);
  });

  it('holds a frame until its last entry is gone, and then gives its number to another', () => {
    const frames = new WaitingFrames();
    const [a, b] = [frameOf('a'), frameOf('b')];
    const number = frames.hold(a);
    frames.hold(a);
    frames.release(number);
    expect(frames.at(number)).toBe(a);
    frames.release(number);
    expect(frames.size).toBe(0);
    expect(frames.hold(b)).toBe(number);
    expect(frames.at(number)).toBe(b);
  });

  it('does not take a frame for held that was given back', () => {
    const frames = new WaitingFrames();
    const a = frameOf('a');
    frames.release(frames.hold(a));
    const again = frames.hold(a);
    expect(frames.at(again)).toBe(a);
    expect(frames.size).toBe(1);
  });

  it('grows with what waits, and keeps every frame under its number', () => {
    const frames = new WaitingFrames();
    const all = Array.from({ length: 5_000 }, (_, i) => frameOf(String(i)));
    const numbers = all.map((frame) => frames.hold(frame));
    for (const [i, number] of numbers.entries()) expect(frames.at(number)).toBe(all[i]);
    for (const number of numbers) frames.release(number);
    expect(frames.size).toBe(0);
    const again = new Set(all.map((frame) => frames.hold(frame)));
    expect(again).toEqual(new Set(numbers));
  });
});
