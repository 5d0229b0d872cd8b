import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Highlight, highlightsOf } from './highlights.ts';
import { countText, shortText } from './number-text.ts';
import type { Criterion, Outcome } from './outcome.ts';
import { type Plot, plotsOf } from './plots.ts';
import type { Section } from './summary.ts';

/** Makes browsers enforce that the page loads nothing: all styles and scripts are in it. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** Returns the report as one page that works without a network: uPlot, its styles and the measurements are in it. */
export function htmlReport(
  outcome: Outcome,
  sections: readonly Section[],
  criteria: readonly Criterion[],
): string {
  const { settings, startedAt, bottlenecks, timeline, release, machine } = outcome;
  const plots = plotsOf(timeline);
  const uPlot = readUPlot();
  const failed = criteria.filter(({ met }) => !met).length;
  const title = `Capacity of Tradewind: ${settings.name}, ${countText(settings.connections)} clients`;
  const verdict =
    failed === 0
      ? `✓ All ${criteria.length} criteria are met`
      : `✗ ${failed} of ${criteria.length} criteria are not met`;
  const warning =
    bottlenecks.length === 0
      ? ''
      : `<p class="warning">The load side may have set the limit: ${escapeHtml(bottlenecks.join('; '))}.</p>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escapeHtml(title)}</title>
<style>${uPlot.style}${STYLE}</style>
<header>
<h1>${escapeHtml(title)}</h1>
<p><strong class="${failed === 0 ? 'pass' : 'fail'}">${verdict}</strong></p>
<p class="soft">Tradewind ${escapeHtml(release)} · ${escapeHtml(startedAt.replace('T', ' ').slice(0, 19))} UTC · ${escapeHtml(machine.cpu)}, ${machine.cores} cores</p>
${warning}
</header>
<main>
<section class="wide tiles" aria-label="The main numbers">${highlightsOf(outcome).map(tile).join('')}</section>
${plots.map(figure).join('\n')}
${histogram(outcome.latencyBuckets)}
<section class="wide"><h2>Criteria</h2>${criteriaTable(criteria)}</section>
${sections.map(sectionTable).join('\n')}
</main>
<script type="application/json" id="plots">${jsonForScript(plots)}</script>
<script>${uPlot.script}</script>
<script>${readFileSync(join(import.meta.dirname, 'draw-plots.js'), 'utf8')}</script>
</html>
`;
}

function readUPlot(): { readonly script: string; readonly style: string } {
  const folder = dirname(createRequire(import.meta.url).resolve('uplot'));
  return {
    script: readFileSync(join(folder, 'uPlot.iife.min.js'), 'utf8'),
    style: readFileSync(join(folder, 'uPlot.min.css'), 'utf8'),
  };
}

function criteriaTable(criteria: readonly Criterion[]): string {
  const rows = criteria.map(({ name, met, found }) => {
    const mark = met ? '<td class="pass">pass</td>' : '<td class="fail">fail</td>';
    return `<tr>${mark}<th>${escapeHtml(name)}</th><td>${escapeHtml(found)}</td></tr>`;
  });
  return `<table>${rows.join('')}</table>`;
}

function sectionTable({ heading, rows }: Section): string {
  const cells = rows.map(
    ([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  return `<section><h2>${escapeHtml(heading)}</h2><table>${cells.join('')}</table></section>`;
}

function tile({ label, value, note, isGood }: Highlight): string {
  const tone = isGood === undefined ? '' : isGood ? ' pass' : ' fail';
  return `<div class="tile${tone}"><h2>${escapeHtml(label)}</h2><p>${escapeHtml(value)}</p><small>${escapeHtml(note)}</small></div>`;
}

/** A table whose bars are as long as the buckets are full; nothing if no latency was measured. */
function histogram(buckets: Outcome['latencyBuckets']): string {
  const most = Math.max(...buckets.map(({ count }) => count), 1);
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  const rows = buckets.map(({ upToMs, count }) => {
    const percent = shortText((100 * count) / total);
    const width = ((100 * count) / most).toFixed(2);
    return `<tr><th>up to ${countOrShort(upToMs)} ms</th><td class="bar"><i style="width:${width}%"></i></td><td>${countText(count)}</td><td>${percent} %</td></tr>`;
  });
  return buckets.length === 0
    ? ''
    : `<section><h2>How long ${countText(total)} deliveries took</h2><table class="histogram">${rows.join('')}</table></section>`;
}

function countOrShort(value: number): string {
  return value < 1 ? shortText(value) : countText(value);
}

function figure({ title }: Plot): string {
  return `<figure class="plot"><figcaption>${escapeHtml(title)}</figcaption></figure>`;
}

/** JSON in a script element: without `<`, so that no text can end the element. */
function jsonForScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/**
 * Colours that people with a colour vision deficiency tell apart (Okabe and Ito), adapted to light and dark
 * backgrounds.
 */
const STYLE = `
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c2024; --soft: #5b636b; --rule: #d9dee3;
  --band: #f3f5f7; --pass: #00694d; --fail: #b3261e; --one: #0072b2; --two: #d55e00; --three: #8a4f7d; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --ink: #e6e9ec; --soft: #9aa4ad;
  --rule: #343b42; --band: #1c2126; --pass: #4cc9a0; --fail: #ff8a80; --one: #56b4e9; --two: #f0a35e; --three: #d9a0cc; } }
body { margin: 0 auto; max-width: 96rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 0 0 .4rem; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); gap: 1.75rem 2rem; }
.wide { grid-column: 1 / -1; }
.warning { border-left: 4px solid var(--two); padding: .3rem .8rem; background: var(--band); }
header p { margin: .3rem 0 0; } header { margin-bottom: 1.5rem; } .soft { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(2, 1fr); gap: .8rem; }
@media (min-width: 40rem) { .tiles { grid-template-columns: repeat(3, 1fr); } }
@media (min-width: 84rem) { .tiles { grid-template-columns: repeat(6, 1fr); } }
.tile { border: 1px solid var(--rule); border-radius: 10px; padding: .7rem 1rem; }
.tile h2 { font-size: .85rem; font-weight: 600; color: var(--soft); margin: 0; }
.tile p { font-size: 1.8rem; line-height: 1.3; font-weight: 650; margin: 0; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.tile small { color: var(--soft); }
.histogram th, .histogram td { width: auto; white-space: nowrap; vertical-align: middle; }
.histogram td { text-align: right; } .histogram .bar { width: 60%; }
.histogram i { display: block; height: .9rem; min-width: 1px; background: var(--one); border-radius: 2px; }
td { overflow-wrap: anywhere; }
.pass { color: var(--pass); } .fail { color: var(--fail); font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--rule); }
th { font-weight: normal; color: var(--soft); width: 45%; } .wide th { color: var(--ink); }
figure { margin: 0; min-width: 0; } figcaption { font-weight: 600; }
.uplot { font: inherit; } .u-legend { color: var(--soft); font-size: 13px; text-align: left; width: auto; margin: 0; }
.u-legend th, .u-legend td { border: 0; width: auto; font-weight: normal; color: inherit; }
`;
