import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { htmlReport } from './html-report.ts';
import { goodOutcome } from './outcome.fixture.ts';
import { judge, type Outcome } from './outcome.ts';
import { plotsOf } from './plots.ts';
import { summarize } from './summary.ts';

function reportOf(outcome: Outcome): string {
  return htmlReport(outcome, summarize(outcome), judge(outcome));
}

/** The contents of the page's script elements: the plots as JSON, uPlot, and `draw-plots.js`. */
function scriptsOf(html: string): readonly string[] {
  return [...html.matchAll(/<script[^>]*>(.*?)<\/script>/gs)].map(([, content]) => content!);
}

describe('htmlReport', () => {
  it('has the plots in the page, and no text in them can end the script', () => {
    const outcome = goodOutcome();
    const [plots] = scriptsOf(reportOf(outcome));
    expect(plots).not.toContain('<');
    expect(JSON.parse(plots!)).toEqual(plotsOf(outcome.timeline));
  });

  it('needs no network, and forbids the browser to use one', () => {
    const html = reportOf(goodOutcome());
    expect(html).toContain(`content="default-src 'none';`);
    const [, uPlot, drawing] = scriptsOf(html);
    expect(uPlot).toContain('uPlot=function');
    expect(html.replace(uPlot!, '').replace(drawing!, '')).not.toMatch(
      /https?:|<link| src=|url\(|@import|NaN/,
    );
    expect(drawing).not.toMatch(/https?:|fetch|import/);
  });

  it('warns if the load side may have set the limit, and escapes text from outside', () => {
    const html = reportOf(goodOutcome({ bottlenecks: ['the publisher was late'] }));
    expect(html).toContain('the publisher was late');
    expect(html).toContain('A &lt;fast&gt; one');
    expect(html).not.toContain('A <fast> one');
  });

  it('begins with the numbers that people look for, and says how to run it again', () => {
    const [, body = ''] = reportOf(goodOutcome()).split('<main>');
    const text = body.replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ');
    expect(text).toMatch(/^ Clients 100 of 100, connected in 2 s Deliveries a second 100 /);
    expect(text).toContain('Lost, doubled or out of order 0 of 1,000');
    expect(text).toContain('Memory a client 10.2 KiB');
    expect(text).toContain('up to 2 ms 40 40 %');
    expect(text).toMatch(/to run it again TARGET_CONNECTIONS=100 .*npm run capacity/);
    expect(reportOf(goodOutcome())).toContain('Tradewind 0.1.0, commit 0123456789ab');
  });

  it('has no heading twice', () => {
    const html = reportOf(goodOutcome());
    const headings = [...html.matchAll(/<(?:h2|figcaption)>([^<]*)</g)].map(([, text]) => text);
    expect(headings.length).toBeGreaterThan(10);
    expect(new Set(headings).size).toBe(headings.length);
  });

  it('gives uPlot each plot with its data and its own figure', () => {
    const outcome = goodOutcome();
    const html = reportOf(outcome);
    const [plots, , drawing] = scriptsOf(html);
    const figures = [...html.matchAll(/<figure class="plot">/g)].map(() => ({ clientWidth: 600 }));
    const drawn: { options: { width: number }; data: unknown; figure: unknown }[] = [];
    runInContext(
      drawing!,
      createContext({
        document: {
          getElementById: () => ({ textContent: plots }),
          querySelectorAll: () => figures,
          documentElement: {},
        },
        getComputedStyle: () => ({ getPropertyValue: () => ' #123456' }),
        matchMedia: () => ({ addEventListener() {} }),
        addEventListener() {},
        uPlot: class {
          constructor(options: { width: number }, data: unknown, figure: unknown) {
            drawn.push({ options, data, figure });
          }
        },
      }),
    );
    expect(drawn.map(({ figure }) => figure)).toEqual(figures);
    expect(JSON.stringify(drawn.map(({ data }) => data))).toBe(
      JSON.stringify(plotsOf(outcome.timeline).map(({ data }) => data)),
    );
    expect(drawn[0]!.options).toMatchObject({
      width: 600,
      series: [{ label: 'seconds' }, { stroke: '#123456' }],
    });
  });
});
