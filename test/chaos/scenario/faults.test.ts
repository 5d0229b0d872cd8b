import { expect, it } from 'vitest';
import { createRandom } from '../../support/suite/random.ts';
import { planEachFault, planFaults } from './faults.ts';

const NODES = 3;
const LASTS_MS = 60_000;

it('plans each fault at least once, and for the requested time', () => {
  const plan = planFaults(createRandom(1), NODES, LASTS_MS);
  const names = new Set(plan.map(({ name }) => name));
  expect(names.size).toBe(planEachFault(createRandom(2), NODES).length);
  const sum = plan.reduce((total, { lastsMs, pauseMs }) => total + lastsMs + pauseMs, 0);
  expect(sum).toBeGreaterThanOrEqual(LASTS_MS);
});

it('makes the same plan from the same seed, and another one from another', () => {
  const plan = (seed: number) => planFaults(createRandom(seed), NODES, LASTS_MS);
  expect(plan(7)).toEqual(plan(7));
  expect(plan(7)).not.toEqual(plan(8));
});
