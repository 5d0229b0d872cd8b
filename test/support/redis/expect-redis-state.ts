import { expect } from 'vitest';
import type { StateOutcome } from './redis-state-scenes.ts';

/** The most publications that one loss can cost, at one every 20 ms. */
const MISSED_BY_A_LOSS = 25;

/**
 * Compares an outcome with the promise: everything that Redis delivers reaches the client, and a link that Redis serves
 * stays.
 */
export function expectServed(outcome: StateOutcome): void {
  const { loses } = outcome;
  // Bytes that Redis writes to a connection that ends are lost: at most those of one loss.
  expect(outcome.missed, `missed, of ${outcome.delivered}`).toBeLessThanOrEqual(
    loses ? MISSED_BY_A_LOSS : 0,
  );
  expect(outcome.missedElsewhere, `of ${outcome.deliveredElsewhere} on other shards`).toBe(0);
  expect(outcome.degraded).toBeLessThanOrEqual(loses ? 1 : 0);
  expect(outcome.log, 'the log names it').toContain(outcome.word);
  expect(outcome.connections, 'connections of the node').toBeLessThanOrEqual(outcome.mayConnect);
  expect(outcome.naiveLossesBefore, 'of a naive link, before').toBe(0);
  expect(outcome.naiveLosses, 'the control: of a naive link').toBeGreaterThan(1);
}
