import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { htmlReport } from './html-report.ts';
import { goodOutcome, loadSample, timelinePoint } from './outcome.fixture.ts';
import { judge } from './outcome.ts';
import { plotsOf } from './plots.ts';
import { progressLine } from './progress.ts';
import { writeReports } from './report-files.ts';
import { summarize } from './summary.ts';
import { terminalReport } from './terminal-report.ts';

describe('the reports of a run', () => {
  it('are written as JSON and HTML, without the password of Redis', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'capacity-'));
    try {
      const good = goodOutcome();
      const outcome = {
        ...good,
        settings: { ...good.settings, resultsFolder: join(folder, 'new') },
      };
      const criteria = judge(outcome);
      const files = await writeReports(outcome, summarize(outcome), criteria);
      const json = await readFile(files.json, 'utf8');
      const html = await readFile(files.html, 'utf8');
      expect(JSON.parse(json)).toMatchObject({
        passed: criteria.every(({ met }) => met),
        settings: { connections: 100, target: { urls: ['ws://edge.example:8080/ws'] } },
        totals: { subscribed: 100 },
        deliveries: 1_000,
      });
      expect(json + html).not.toContain('hunter2');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('show the cost of a client and of a delivery', () => {
    const lines = terminalReport(summarize(goodOutcome()), [], false).join('\n');
    expect(lines).toMatch(/memory with all clients, quiet +51 MiB: 10.2 KiB a client/);
    expect(lines).toMatch(/to run it again +TARGET_CONNECTIONS=100 /);
    expect(lines).toMatch(/CPU time while publishing +0.02 s: 20 µs a delivery/);
  });

  it('leave out what is unknown of a server on another machine', () => {
    const remote = goodOutcome({
      server: undefined,
      timeline: [timelinePoint({ serverCores: undefined, serverMemoryBytes: undefined })],
    });
    expect(terminalReport(summarize(remote), [], false).join('\n')).not.toContain('PSS');
    const titles = plotsOf(remote.timeline).map(({ title }) => title);
    expect(titles).not.toContain('Memory of the edges over time');
  });

  it('survive a run in which nothing worked', () => {
    const outcome = goodOutcome({
      totals: loadSample({ subscribed: 0, open: 0, failed: { ECONNREFUSED: 100 } }),
      deliveries: 0,
      latency: undefined,
      timeline: [],
    });
    const lines = terminalReport(summarize(outcome), judge(outcome), false).join('\n');
    expect(lines).toContain('100 × ECONNREFUSED');
    const html = htmlReport(outcome, summarize(outcome), judge(outcome));
    expect(lines + html.replaceAll(/<script>.*?<\/script>/gs, '')).not.toMatch(
      /NaN|Infinity|undefined/,
    );
  });
});

describe('progressLine', () => {
  const { settings } = goodOutcome();

  it('shows the progress of connecting and publishing', () => {
    const connecting = timelinePoint({
      phase: 'connecting',
      openConnections: 40,
      failedConnections: 10,
    });
    expect(progressLine(connecting, settings, 1)).toMatch(
      /^connecting 40 of 100 clients, 10 failed$/,
    );
    const publishing = progressLine(timelinePoint(), settings, settings.duration / 3);
    expect(publishing).toMatch(/^publishing 10 of 30 s, 100 deliveries\/s, p99 3 ms/);
  });

  it('never shows more seconds than the run has', () => {
    expect(progressLine(timelinePoint(), settings, 99)).toMatch(/^publishing 30 of 30 s/);
  });
});
