import { type Band, drawLinePlot, escapeXml, type LinePlot } from './line-plot.ts';
import { countText } from './number-text.ts';
import type { Criterion, Outcome } from './outcome.ts';
import type { Section } from './summary.ts';
import type { TimelinePoint } from './timeline.ts';

/** One page that needs nothing else: no script, no font, no network. */
export function htmlReport(
  outcome: Outcome,
  sections: readonly Section[],
  criteria: readonly Criterion[],
): string {
  const { settings, startedAt, bottlenecks, timeline } = outcome;
  const failed = criteria.filter(({ met }) => !met).length;
  const title = `Capacity: ${settings.name}, ${countText(settings.connections)} clients`;
  const verdict = failed === 0 ? 'all criteria met' : `${failed} of ${criteria.length} not met`;
  const warning =
    bottlenecks.length === 0
      ? ''
      : `<p class="warning">The load side may have set the limit: ${escapeXml(bottlenecks.join('; '))}.</p>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title>
<style>${STYLE}</style>
<header>
<h1>${escapeXml(title)}</h1>
<p><strong class="${failed === 0 ? 'pass' : 'fail'}">${verdict}</strong> · ${escapeXml(startedAt.replace('T', ' ').slice(0, 19))} UTC</p>
${warning}
</header>
<main>
<section class="wide"><h2>Criteria</h2>${criteriaTable(criteria)}</section>
${plotsOf(timeline).map(drawFigure).join('\n')}
${sections.map(sectionTable).join('\n')}
</main>
</html>
`;
}

function criteriaTable(criteria: readonly Criterion[]): string {
  const rows = criteria.map(({ name, met, found }) => {
    const mark = met ? '<td class="pass">pass</td>' : '<td class="fail">fail</td>';
    return `<tr>${mark}<th>${escapeXml(name)}</th><td>${escapeXml(found)}</td></tr>`;
  });
  return `<table>${rows.join('')}</table>`;
}

function sectionTable({ heading, rows }: Section): string {
  const cells = rows.map(
    ([name, value]) => `<tr><th>${escapeXml(name)}</th><td>${escapeXml(value)}</td></tr>`,
  );
  return `<section><h2>${escapeXml(heading)}</h2><table>${cells.join('')}</table></section>`;
}

function drawFigure(plot: LinePlot): string {
  const legend = plot.series.map(
    ({ name }, i) => `<li class="series-${i + 1}">${escapeXml(name)}</li>`,
  );
  return `<figure><figcaption>${escapeXml(plot.title)}<ul>${legend.join('')}</ul></figcaption>${drawLinePlot(plot)}</figure>`;
}

/** The plots of a run. Those of a server that runs elsewhere lack its lines. */
export function plotsOf(timeline: readonly TimelinePoint[]): readonly LinePlot[] {
  const seconds = timeline.at(-1)?.seconds ?? 0;
  const bands = bandsOf(timeline);
  const knowsServer = timeline.some(({ serverCores }) => serverCores !== undefined);
  const line = (
    name: string,
    pick: (point: TimelinePoint) => number | undefined,
    spans = false,
  ) => ({
    name,
    spans,
    points: timeline.map((point) => [point.seconds, pick(point)] as const),
  });
  const plots: LinePlot[] = [
    {
      title: 'Connections',
      yLabel: 'clients',
      yScale: 'linear',
      series: [
        line('open and subscribed', (point) => point.openConnections),
        line('failed', (point) => point.failedConnections),
      ],
      bands,
      seconds,
    },
    {
      title: 'Deliveries',
      yLabel: 'deliveries per second',
      yScale: 'linear',
      series: [line('received by clients', (point) => point.deliveredRate)],
      bands,
      seconds,
    },
    {
      title: 'Latency, publish to receive',
      yLabel: 'ms (logarithmic)',
      yScale: 'log',
      series: [
        line('median', (point) => point.latency?.p50),
        line('99 %', (point) => point.latency?.p99),
        line('highest', (point) => point.latency?.max),
      ],
      bands,
      seconds,
    },
    {
      title: 'CPU',
      yLabel: 'cores busy',
      yScale: 'linear',
      series: [
        ...(knowsServer ? [line('edges', (point) => point.serverCores)] : []),
        line('load processes', (point) => point.loadCores),
        line('whole machine', (point) => point.machineCores),
      ],
      bands,
      seconds,
    },
  ];
  if (knowsServer) {
    const mebibytes = ({ serverMemoryBytes }: TimelinePoint): number | undefined =>
      serverMemoryBytes === undefined ? undefined : serverMemoryBytes / 2 ** 20;
    plots.push({
      title: 'Memory of the edges',
      yLabel: 'MiB (PSS)',
      yScale: 'linear',
      series: [line('all edges', mebibytes, true)],
      bands,
      seconds,
    });
  }
  return plots;
}

function bandsOf(timeline: readonly TimelinePoint[]): readonly Band[] {
  const bands: { name: string; from: number; to: number }[] = [];
  for (const { phase, seconds } of timeline) {
    const last = bands.at(-1);
    if (last?.name === phase) last.to = seconds;
    else bands.push({ name: phase, from: last?.to ?? 0, to: seconds });
  }
  return bands;
}

/** Colours that people with a colour vision deficiency tell apart (Okabe and Ito), adapted to both grounds. */
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
.pass { color: var(--pass); } .fail { color: var(--fail); font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--rule); }
th { font-weight: normal; color: var(--soft); width: 45%; } .wide th { color: var(--ink); }
figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
figcaption { font-weight: 600; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; align-items: baseline; }
figcaption ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; margin: 0; padding: 0; font-weight: normal; }
figcaption li::before { content: ""; display: inline-block; width: 1.1em; height: 3px; margin-right: .4em;
  vertical-align: middle; background: var(--colour); }
.series-1 { --colour: var(--one); } .series-2 { --colour: var(--two); } .series-3 { --colour: var(--three); }
.line { fill: none; stroke: var(--colour); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.grid { stroke: var(--rule); } .axis { stroke: var(--soft); }
.band.even { fill: transparent; } .band.odd { fill: var(--band); }
svg text { fill: var(--soft); font-size: 12px; } svg .label { fill: var(--ink); }
`;
