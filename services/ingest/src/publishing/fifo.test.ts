import { expect, it } from 'vitest';
import { Fifo } from './fifo.ts';

it('gives out what it was given, in order, through many rounds of filling and emptying', () => {
  const fifo = new Fifo<number>();
  let given = 0;
  let taken = 0;
  for (let round = 0; round < 200; round += 1) {
    for (let i = 0; i < 100; i += 1) fifo.push(given++);
    for (let i = 0; i < 90; i += 1) expect(fifo.shift()).toBe(taken++);
    expect(fifo.length).toBe(given - taken);
    expect(fifo.first).toBe(taken);
  }
  expect(fifo.takeAll()).toEqual(Array.from({ length: given - taken }, (_, i) => taken + i));
  expect(fifo.length).toBe(0);
});

it('has nothing to give when it is empty', () => {
  const fifo = new Fifo<number>();
  expect(fifo.shift()).toBeUndefined();
  expect(fifo.first).toBeUndefined();
  expect(fifo.length).toBe(0);
  fifo.push(1);
  expect(fifo.shift()).toBe(1);
  expect(fifo.length).toBe(0);
});
