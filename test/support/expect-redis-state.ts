import { expect } from 'vitest';
import type { StateOutcome } from './redis-state-scenes.ts';

/** Publications of one loss, at most, at one every 20 ms. */
const MISSED_BY_A_LOSS = 25;

/** Holds an outcome to what is promised: what Redis delivers is delivered, and a link that it serves stays. */
export function expectServed(outcome: StateOutcome): void {
  const { loses } = outcome;
  // What Redis writes to a connection that it, or the node, ends is gone: of one loss, at most.
  expect(outcome.missed, `missed, of ${outcome.delivered}`).toBeLessThanOrEqual(
    loses ? MISSED_BY_A_LOSS : 0,
  );
  expect(outcome.degraded).toBeLessThanOrEqual(loses ? 1 : 0);
  expect(outcome.log, 'the log names it').toContain(outcome.word);
  expect(outcome.connections, 'connections of the node').toBeLessThanOrEqual(outcome.mayConnect);
  expect(outcome.naiveLossesBefore, 'of a naive link, before').toBe(0);
  expect(outcome.naiveLosses, 'the control: of a naive link').toBeGreaterThan(1);
}
