import { describe, expect, it } from 'vitest';
import { rightsTo } from '../../auth/rights.ts';
import { AttendedTime, BEATS_PER_SECOND } from '../time/attended-time.ts';
import { Session, type SessionLimits } from './session.ts';

const SILENT_SECONDS = 3;
const SILENT_BEATS = SILENT_SECONDS * BEATS_PER_SECOND;

const LIMITS: SessionLimits = {
  requestRate: { perSecond: 1, burst: 2 },
  subscribeRate: { perSecond: 1, burst: 3 },
  silentSeconds: SILENT_SECONDS,
  liveness: { pingAfterBeats: 10 * SILENT_BEATS, deadAfterBeats: SILENT_BEATS },
};

describe('Session', () => {
  it('is silent when the client has asked for no channel by its age, and is due then', () => {
    const { session, time } = start();
    expect(session.dueAt).toBe(SILENT_BEATS);
    time.beat = SILENT_BEATS - 1;
    expect(session.judge(time.beat)).toBe('fine');
    time.beat = SILENT_BEATS;
    expect(session.judge(time.beat)).toBe('silent');
  });

  it('counts its age from the beat at which it began', () => {
    const { session } = start({ begin: 100 });
    expect(session.dueAt).toBe(100 + SILENT_BEATS);
  });

  it('is never silent once the client has asked, and is due for its pings alone', () => {
    const { session, time } = start();
    session.hasAsked = true;
    expect(session.dueAt).toBe(session.liveness.dueAt);
    time.beat = SILENT_BEATS;
    expect(session.judge(time.beat)).toBe('fine');
  });

  it('is pinged, and dead when it answers nothing', () => {
    const { session, time } = start();
    session.hasAsked = true;
    time.beat = session.dueAt;
    expect(session.judge(time.beat)).toBe('ping');
    while (session.judge(time.beat) === 'fine') time.beat += 1;
    expect(session.judge(time.beat)).toBe('dead');
    session.liveness.recordLife();
    expect(session.judge(time.beat)).toBe('fine');
  });

  it('is dead rather than silent: a peer that answers nothing would not read a close frame', () => {
    const { session, time } = start({ silentSeconds: 100 });
    time.beat = session.dueAt;
    expect(session.judge(time.beat)).toBe('ping');
    time.beat = 100 * BEATS_PER_SECOND;
    expect(session.judge(time.beat)).toBe('dead');
  });

  it('has budgets of its own, which are full at first', () => {
    const [{ session }, { session: other }] = [start(), start()];
    expect([1, 2, 3].map(() => session.requestBudget.take(0))).toEqual([true, true, false]);
    expect(session.subscribeBudget.take(0, 3)).toBe(true);
    expect(other.requestBudget.take(0, 2)).toBe(true);
  });
});

function start({ begin = 0, silentSeconds = SILENT_SECONDS } = {}) {
  const time = new AttendedTime(0);
  time.beat = begin;
  const session = new Session({
    id: 'session',
    rights: rightsTo(() => true),
    limits: { ...LIMITS, silentSeconds },
    time,
    phase: 0,
    now: 0,
  });
  return { session, time };
}
