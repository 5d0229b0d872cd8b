import { describe, expect, it } from 'vitest';
import { timelinePoint } from './outcome.fixture.ts';
import { findBottlenecks, type TimelinePoint } from './timeline.ts';

function seconds(count: number, changes: Partial<TimelinePoint>): TimelinePoint[] {
  return Array.from({ length: count }, () => timelinePoint(changes));
}

describe('findBottlenecks', () => {
  it('finds no bottleneck if the load side has reserves', () => {
    expect(findBottlenecks(seconds(20, {}), 2)).toEqual([]);
  });

  it.each<[string, Partial<TimelinePoint>]>([
    ['a load process was busy', { loadUtilization: 0.95 }],
    ['a load process was late', { loadDelayMs: 101 }],
    ['the publisher was late', { publisherBehindMs: 101 }],
    ['2 cores were busy', { machineCores: 1.95 }],
  ])('reports that %s, if it was so in more than a twentieth of the seconds', (what, changes) => {
    expect(findBottlenecks([...seconds(19, {}), ...seconds(1, changes)], 2)).toEqual([]);
    const found = findBottlenecks([...seconds(18, {}), ...seconds(2, changes)], 2);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(what);
    expect(found[0]).toContain('2 of 20 s');
  });

  it('looks only at the seconds of publishing', () => {
    expect(findBottlenecks(seconds(20, { phase: 'connecting', loadUtilization: 1 }), 2)).toEqual(
      [],
    );
  });
});
