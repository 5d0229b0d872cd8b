import { describe, expect, it } from 'vitest';
import { Liveness, type LivenessVerdict } from './liveness.ts';

const LIMITS = { pingAfterTicks: 25, deadAfterTicks: 10 };

describe('Liveness', () => {
  it('pings a silent peer once, and takes it for dead when the answer does not come', () => {
    const liveness = new Liveness(LIMITS, 0);
    const verdicts = ticks(liveness, 35);
    expect(verdicts.indexOf('ping')).toBe(25 - 1);
    expect(verdicts.lastIndexOf('ping')).toBe(25 - 1);
    expect(verdicts.indexOf('dead')).toBe(35 - 1);
  });

  it('stays with dead until someone acts on it', () => {
    const liveness = new Liveness(LIMITS, 0);
    ticks(liveness, 35);
    expect(ticks(liveness, 2)).toEqual(['dead', 'dead']);
  });

  it('begins anew with each sign of life, also after a ping', () => {
    const liveness = new Liveness(LIMITS, 0);
    ticks(liveness, 34);
    liveness.heard();
    expect(ticks(liveness, 24)).toEqual(Array(24).fill('fine'));
    expect(liveness.tick()).toBe('ping');
  });

  it('blames no peer for a stall of this process, which is one tick however long it was', () => {
    const liveness = new Liveness({ pingAfterTicks: 1, deadAfterTicks: 2 }, 0);
    expect(liveness.tick()).toBe('ping');
    const afterTheStall = liveness.tick();
    expect(afterTheStall).toBe('fine');
    const answerThatWaitedInTheSocket = () => liveness.heard();
    answerThatWaitedInTheSocket();
    expect(liveness.tick()).toBe('ping');
  });

  it('spreads the first pings over the whole interval, by phase', () => {
    const firstPings = Array.from({ length: 100 }, (_, i) => {
      const liveness = new Liveness(LIMITS, i / 100);
      return ticks(liveness, 25).indexOf('ping') + 1;
    });
    expect(new Set(firstPings)).toEqual(new Set(Array.from({ length: 25 }, (_, i) => i + 1)));
  });
});

function ticks(liveness: Liveness, count: number): LivenessVerdict[] {
  return Array.from({ length: count }, () => liveness.tick());
}
