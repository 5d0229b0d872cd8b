import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { capacityTable, costTable, MEASURED } from './capacity.ts';
import { TERRAFORM_ROOT } from './hcl.ts';

const README = readFileSync(`${TERRAFORM_ROOT}README.md`, 'utf8');
const PERFORMANCE = readFileSync(
  fileURLToPath(new URL('../../docs/performance.md', import.meta.url)),
  'utf8',
);

it('has the tables in the guide as they are computed', () => {
  expect(README).toContain(capacityTable());
  expect(README).toContain(costTable());
});

it('computes them from what docs/performance.md says', () => {
  expect(PERFORMANCE).toContain(`| ${MEASURED.startBytes / 1e6} MB |`);
  expect(PERFORMANCE).toContain(`| ${MEASURED.idleClientBytes / 1e3} KB |`);
  expect(PERFORMANCE).toContain(`| PSS, KB | ${MEASURED.stalledClientBytes / 1e3} |`);
  expect(PERFORMANCE).toContain(`| ${MEASURED.alone} µs |`);
  expect(PERFORMANCE).toContain(`| edge | 15 of 15 | ${MEASURED.mixed} |`);
  expect(PERFORMANCE).toContain(`| ${MEASURED.together} |`);
});
