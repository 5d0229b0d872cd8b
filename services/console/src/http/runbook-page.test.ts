import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { THRESHOLDS } from '../fleet/thresholds.ts';
import { runbookPage } from './runbook-page.ts';

const PROBLEMS = new URL('../fleet/problems.ts', import.meta.url);
const RUNBOOK = new URL('../../../../docs/runbook.md', import.meta.url);

it('has a heading for each problem that the page links to it', () => {
  const page = runbookPage(readFileSync(RUNBOOK, 'utf8'));
  const named = readFileSync(PROBLEMS, 'utf8').matchAll(/'((?:Edge|Ingest|Target)[A-Z]\w+)'/g);
  const alerts = new Set([...THRESHOLDS.map(({ alert }) => alert), ...[...named].map((m) => m[1])]);
  expect(alerts).toContain('TargetDown');
  expect(alerts).toContain('EdgeDegraded');
  for (const alert of alerts) expect(page).toContain(`<h2 id="${alert?.toLowerCase()}">${alert}<`);
});

it('has tables and lists, and links within itself only, since no other document is served', () => {
  const page = runbookPage(
    '| event | do |\n|---|---|\n| `degraded` | [below](#redis), or [metrics](metrics.md) |\n\n- one\n',
  );
  expect(page).toContain('<th>event</th>');
  expect(page).toContain('<td><code>degraded</code></td>');
  expect(page).toContain('<td><a href="#redis">below</a>, or metrics</td>');
  expect(page).toContain('<li>one</li>');
});

it('lets no markup in', () => {
  const page = runbookPage('# A & c-d\n\n<script>"x"</script>\n\n[x](#"><b>) `<i>` <img src=x>\n');
  expect(page).toContain('<h1 id="a--c-d">A &amp; c-d</h1>');
  expect(page).not.toMatch(/<(script|b|i|img)\b/);
});
