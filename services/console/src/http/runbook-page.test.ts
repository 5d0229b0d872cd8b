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

it('shows what is written as it is, and lets nothing of it be markup', () => {
  const page = runbookPage('# A *b* & c-d\n\n<script>"x"</script>\n');
  expect(page).toContain('<h1 id="a-b--c-d">A *b* &amp; c-d</h1>');
  expect(page).toContain('<pre>&lt;script&gt;&quot;x&quot;&lt;/script&gt;</pre>');
});
