import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';
import { renderDashboard, substituteVariables } from './dashboard.ts';
import { ROWS } from './dashboard-panels.ts';

describe('infra/grafana/tradewind.json', () => {
  it('is what the panels say: node infra/dev/src/observability/write-dashboard.ts', () => {
    const file = readFileSync(`${WORKSPACE_ROOT}infra/grafana/tradewind.json`, 'utf8');
    expect(JSON.parse(file)).toEqual(renderDashboard(ROWS));
  });

  it('has what an operator looks for', () => {
    expect(ROWS.map(({ title }) => title)).toEqual([
      'Overview',
      'Fan-out',
      'Recovery',
      'Identity',
      'Redis link',
      'Ingest',
      'Memory and CPU of each node',
    ]);
  });

  it('lays no panel over another', () => {
    const { panels } = renderDashboard(ROWS) as {
      panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[];
    };
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });
});

describe('docs/runbook.md', () => {
  it('says to look at panels that the dashboard has', () => {
    const runbook = readFileSync(`${WORKSPACE_ROOT}docs/runbook.md`, 'utf8');
    const paragraphs = runbook.split('\n\n').filter((text) => text.startsWith('**Look at.**'));
    const named = paragraphs.flatMap((text) =>
      [...text.matchAll(/(?<!\*)\*([^*]+)\*(?!\*)/g)].map(([, name]) => name!.replace('\n', ' ')),
    );
    expect(named.length).toBeGreaterThan(30);
    // The document may leave the end of a title out.
    const titles = ROWS.flatMap(({ panels }) => panels.map(({ title }) => title));
    const isTitle = (name: string): boolean => titles.some((title) => title.startsWith(name));
    expect(named.filter((name) => !isTitle(name))).toEqual([]);
  });
});

it('substituteVariables leaves nothing of Grafana', () => {
  expect(substituteVariables('rate(a{instance=~"$edge"}[$__rate_interval])', '30s')).toBe(
    'rate(a{instance=~".+"}[30s])',
  );
});
