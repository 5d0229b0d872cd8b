import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';
import { ROWS } from './dashboard-panels.ts';
import { readDocumentedMetrics, seriesOf } from './known-metrics.ts';
import { metricNamesIn, selectedLabelsIn, withoutThreshold } from './promql.ts';

interface RuleFile {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
}

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface TestFile {
  readonly tests: readonly {
    readonly alert_rule_test?: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly { readonly exp_labels: { readonly severity: string } }[];
    }[];
  }[];
}

/** What Prometheus itself adds to every series. */
const TARGET_LABELS = ['job', 'instance'];

const recording = rulesIn('recording-rules.yml');
const alerts = rulesIn('alerts.yml');
const panels = ROWS.flatMap((row) => row.panels.flatMap(({ queries }) => queries));
const expressions = [...recording, ...alerts, ...panels].map(({ expr }) => expr);

const exported = seriesOf(await readDocumentedMetrics());
const known = new Map<string, readonly string[]>([
  ...exported,
  ...recording.map(({ record }): [string, string[]] => [record!, []]),
  ['up', []],
]);

function read(path: string): string {
  return readFileSync(`${WORKSPACE_ROOT}${path}`, 'utf8');
}

function rulesIn(file: string): readonly Rule[] {
  const { groups } = parse(read(`infra/prometheus/${file}`)) as RuleFile;
  return groups.flatMap(({ rules }) => rules);
}

describe('rules and dashboard', () => {
  it.each(expressions)('read only what is exported: %s', (expression) => {
    const names = metricNamesIn(expression);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
    const labels = [...TARGET_LABELS, ...names.flatMap((name) => known.get(name) ?? [])];
    expect(selectedLabelsIn(expression).filter((label) => !labels.includes(label))).toEqual([]);
  });

  it('would find a name that nothing exports', () => {
    expect(metricNamesIn('rate(tradewind_edge_trades_total[1m])').some((n) => known.has(n))).toBe(
      false,
    );
  });

  it('record the rates that the system before this one exported', () => {
    expect(recording.map(({ record }) => record)).toEqual(
      expect.arrayContaining([
        'ws_broadcast_iterations_per_sec',
        'ws_subscription_index_lookups_per_sec',
      ]),
    );
  });
});

describe('alerts', () => {
  it('warn and call at the thresholds that were agreed', () => {
    const thresholds = alerts
      .filter(({ alert }) => /^Edge(SlowClients|Memory|Cpu)$/.test(alert!))
      .map(({ alert, expr, labels }) => `${alert} ${labels?.severity} ${expr.split(' ').at(-1)}`);
    expect(thresholds).toEqual([
      'EdgeSlowClients warning 0.01',
      'EdgeSlowClients critical 0.05',
      'EdgeMemory warning 0.9',
      'EdgeMemory critical 1',
      'EdgeCpu warning 0.6',
      'EdgeCpu critical 0.75',
    ]);
  });

  it.each(alerts)('$alert compares with a number, and says what is wrong', (rule) => {
    expect(withoutThreshold(rule.expr)).not.toBe('');
    expect(rule.labels?.severity).toMatch(/^(warning|critical)$/);
    expect(rule.annotations?.summary).toContain('{{ $labels.instance }}');
  });

  it.each(alerts)('$alert points to its entry in the runbook', ({ alert, annotations }) => {
    expect(annotations?.runbook).toBe(`docs/runbook.md#${alert!.toLowerCase()}`);
  });

  it('are exactly what the runbook has entries for, each saying what to do', () => {
    const entries = read('docs/runbook.md').split(/^## /m).slice(1);
    const headings = entries.map((entry) => entry.slice(0, entry.indexOf('\n')));
    expect(headings).toEqual([...new Set(alerts.map(({ alert }) => alert!))]);
    const index = /^Each alert, (.+?)\.$/ms.exec(read('docs/runbook.md'))?.[1] ?? '';
    expect(Array.from(index.matchAll(/\[(\w+)\]\(#(\w+)\)/g), ([, name]) => name)).toEqual(
      headings,
    );
    for (const entry of entries) {
      expect(entry).toMatch(/\n\*\*Means\.\*\* .+\n\n\*\*Look at\.\*\* .+\n\n\*\*Do\.\*\* \S/s);
    }
  });

  it.each(alerts)('$alert ($labels.severity) is shown firing and not firing', (rule) => {
    const { tests } = parse(read('infra/prometheus/alerts.test.yml')) as TestFile;
    const outcomes = tests
      .flatMap(({ alert_rule_test }) => alert_rule_test ?? [])
      .filter(({ alertname }) => alertname === rule.alert)
      .map(({ exp_alerts }) =>
        exp_alerts.some(({ exp_labels }) => exp_labels.severity === rule.labels?.severity),
      );
    expect(new Set(outcomes)).toEqual(new Set([true, false]));
  });
});
