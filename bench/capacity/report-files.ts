import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { htmlReport } from './html-report.ts';
import type { Criterion, Outcome } from './outcome.ts';
import type { Section } from './summary.ts';

export interface ReportFiles {
  readonly json: string;
  readonly html: string;
}

/** Writes both reports of a run into its results folder and returns their paths. */
export async function writeReports(
  outcome: Outcome,
  sections: readonly Section[],
  criteria: readonly Criterion[],
): Promise<ReportFiles> {
  const { settings, startedAt } = outcome;
  const moment = startedAt
    .replace(/\.\d+Z$/, '')
    .replace(/[:]/g, '')
    .replace('T', '-');
  const base = join(settings.resultsFolder, `capacity-${settings.name}-${moment}`);
  await mkdir(settings.resultsFolder, { recursive: true });
  const files = { json: `${base}.json`, html: `${base}.html` };
  await writeFile(files.json, `${JSON.stringify(publicData(outcome, criteria), undefined, 2)}\n`);
  await writeFile(files.html, htmlReport(outcome, sections, criteria));
  return files;
}

/** Returns everything but the Redis URL, which may hold a password, and fields that only programs can read. */
export function publicData(outcome: Outcome, criteria: readonly Criterion[]): unknown {
  const { settings, totals, ...rest } = outcome;
  const { target, channelNames: _, tokens: _secret, ...otherSettings } = settings;
  const { redisUrl: __, ...openTarget } = { redisUrl: '', ...target };
  const { latencies: ___, ...openTotals } = totals;
  return {
    passed: criteria.every(({ met }) => met),
    criteria,
    settings: { ...otherSettings, target: openTarget },
    ...rest,
    totals: openTotals,
  };
}
