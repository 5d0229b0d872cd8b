import { expect, it } from 'vitest';
import { type ConsoleCost, consoleFailures, describeConsole } from './console-cost.ts';

const MIB = 2 ** 20;

/** A run of the memory phase alone. */
function run(console: readonly number[], page: readonly (number | undefined)[]): ConsoleCost {
  return {
    ...{ nodes: 100, channels: 10_000, viewers: 20, seconds: 240, phases: ['memory'] },
    usage: undefined,
    memory: console.map((mib, i) => ({
      seconds: i * 60,
      heldBytes: mib * MIB,
      pageHeldBytes: page[i] === undefined ? undefined : page[i] * MIB,
      residentBytes: 200 * MIB,
    })),
  };
}

it('takes memory for flat that moves, and has not grown from one half of the time to the other', () => {
  const flat = run([30, 42, 47, 43, 44], [4, 5, 5.6, 5, 5.2]);
  expect(consoleFailures(flat)).toEqual([]);
  expect(describeConsole(flat)).toContain(
    'after 240 s: console 44.0 MiB (200.0 MiB resident), page 5.2 MiB',
  );
});

it('names what grew, of the console and of the page', () => {
  expect(consoleFailures(run([30, 42, 44, 48, 52], [4, 5, 5, 6, 7]))).toEqual([
    'the console held 43.0 MiB, and then 50.0',
    'the page held 5.0 MiB, and then 6.5',
  ]);
});

it('judges the console alone where there is no Chromium', () => {
  expect(consoleFailures(run([43, 43], [undefined, undefined]))).toEqual([]);
});
