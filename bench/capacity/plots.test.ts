import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { timelinePoint } from './outcome.fixture.ts';
import { type Plot, plotsOf } from './plots.ts';
import type { TimelinePoint } from './timeline.ts';

function plotOf(title: string, timeline: readonly TimelinePoint[]): Plot {
  return plotsOf(timeline).find((plot) => plot.title === title)!;
}

describe('plotsOf', () => {
  it('has a label and a row of values for each line, from second 0', () => {
    const plot = plotOf('Clients over time', [
      timelinePoint({ seconds: 1, openConnections: 40, failedConnections: 1 }),
      timelinePoint({ seconds: 2, openConnections: 100, failedConnections: 2 }),
    ]);
    expect(plot.options.series.map(({ label }) => label)).toEqual([
      'seconds',
      'open and subscribed',
      'failed',
    ]);
    expect(plot.data).toEqual([
      [0, 1, 2],
      [null, 40, 100],
      [null, 1, 2],
    ]);
  });

  it('interrupts a line where a value is missing, except for memory, which few intervals read', () => {
    const timeline = [
      timelinePoint({ seconds: 1 }),
      timelinePoint({ seconds: 2, latency: undefined, serverMemoryBytes: undefined }),
      timelinePoint({ seconds: 3 }),
    ];
    const latency = plotOf('Latency over time, publish to receive', timeline);
    expect(latency.data[1]).toEqual([null, 1, null, 1]);
    expect(latency.options.series[1]).toMatchObject({ spanGaps: false });
    const memory = plotOf('Memory of the edges over time', timeline);
    expect(memory.data[1]).toEqual([null, 128, null, 128]);
    expect(memory.options.series[1]).toMatchObject({ spanGaps: true });
  });

  it('names the phases from where one ends to where the next ends', () => {
    const timeline = [
      timelinePoint({ seconds: 1, phase: 'connecting' }),
      timelinePoint({ seconds: 2, phase: 'connecting' }),
      timelinePoint({ seconds: 3, phase: 'publishing' }),
    ];
    expect(plotOf('CPU over time', timeline).bands).toEqual([
      { name: 'connecting', from: 0, to: 2 },
      { name: 'publishing', from: 2, to: 3 },
    ]);
  });

  it('gives a logarithmic axis no value that it cannot show, whatever was measured', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (ms) => {
        const latency = { p50: ms, p90: ms, p99: ms, p999: ms, max: ms, samples: 1 };
        const { data } = plotOf('Latency over time, publish to receive', [
          timelinePoint({ latency }),
        ]);
        for (const [, value] of data.slice(1)) expect(value).toBe(ms > 0 ? ms : null);
      }),
      { examples: [[0]] },
    );
  });

  it('is empty if nothing was recorded', () => {
    expect(plotsOf([])).toEqual([]);
  });
});
