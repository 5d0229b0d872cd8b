import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawLinePlot, type LinePlot } from './line-plot.ts';

function plot(changes: Partial<LinePlot>): string {
  return drawLinePlot({
    title: 'Title',
    yLabel: 'units',
    yScale: 'linear',
    series: [],
    bands: [],
    seconds: 10,
    ...changes,
  });
}

function line(ys: readonly (number | undefined)[], spans = false): LinePlot['series'] {
  return [{ name: 'a', spans, points: ys.map((y, x) => [x, y] as const) }];
}

function ticksOf(svg: string): string[] {
  return [...svg.matchAll(/text-anchor="end"[^>]*>([^<]*)</g)].map(([, tick]) => tick!);
}

function pathOf(svg: string): string {
  return /<path[^>]* d="([^"]*)"/.exec(svg)![1]!;
}

describe('drawLinePlot', () => {
  it('marks the y axis at round numbers that hold the highest value', () => {
    expect(ticksOf(plot({ series: line([0, 34_900]) }))).toEqual([
      '0',
      '10,000',
      '20,000',
      '30,000',
      '40,000',
    ]);
    expect(ticksOf(plot({ series: line([0, 0.7]) }))).toEqual(['0', '0.2', '0.4', '0.6', '0.8']);
    expect(ticksOf(plot({ series: line([0]) }))).toEqual(['0', '0.2', '0.4', '0.6', '0.8', '1']);
    expect(ticksOf(plot({ yScale: 'log', series: line([0.3, 250]) }))).toEqual([
      '0.1',
      '1',
      '10',
      '100',
      '1,000',
    ]);
  });

  it('interrupts a line where a value is missing, or goes on if it is told to', () => {
    expect(pathOf(plot({ series: line([1, undefined, 2]) })).match(/M/g)).toHaveLength(2);
    expect(pathOf(plot({ series: line([1, undefined, 2], true) })).match(/M/g)).toHaveLength(1);
  });

  it.each([0, 5e-324, 1e-300])('takes a highest value of %s for nothing', (value) => {
    expect(ticksOf(plot({ series: line([value]) }))).toEqual(ticksOf(plot({ series: line([0]) })));
  });

  it('draws every value inside the picture, whatever the values are', () => {
    const value = fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }), { nil: undefined });
    const scale = fc.constantFrom('linear' as const, 'log' as const);
    fc.assert(
      fc.property(fc.array(value, { maxLength: 11 }), scale, (ys, yScale) => {
        const svg = plot({ series: line(ys), yScale });
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
        for (const [, x, y] of pathOf(svg).matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)) {
          expect(Number(x)).toBeGreaterThanOrEqual(0);
          expect(Number(x)).toBeLessThanOrEqual(720);
          expect(Number(y)).toBeGreaterThanOrEqual(0);
          expect(Number(y)).toBeLessThanOrEqual(280);
        }
      }),
      { examples: [[[5e-324], 'linear']] },
    );
  });
});
