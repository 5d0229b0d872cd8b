import { describe, expect, it } from 'vitest';
import { Schedule } from './pace.ts';

describe('Schedule', () => {
  it('keeps the trades’ own distances', () => {
    expect(due({ kind: 'own', speed: 1 }, [1_000, 1_040, 1_040, 4_000])).toEqual([
      0, 40, 40, 3_000,
    ]);
  });

  it('divides them by the speed', () => {
    expect(due({ kind: 'own', speed: 10 }, [1_000, 2_000])).toEqual([0, 100]);
    expect(due({ kind: 'own', speed: 0.5 }, [1_000, 2_000])).toEqual([0, 2_000]);
  });

  it('does not wait for a trade that is out of order', () => {
    expect(due({ kind: 'own', speed: 1 }, [1_000, 500, 2_000])).toEqual([0, -500, 1_000]);
  });

  it('spreads them evenly at a rate', () => {
    expect(due({ kind: 'rate', perSecond: 4 }, [9, 1, 5])).toEqual([0, 250, 500]);
  });
});

function due(pace: ConstructorParameters<typeof Schedule>[0], times: readonly number[]): number[] {
  const schedule = new Schedule(pace);
  return times.map((ts) => schedule.next(ts));
}
