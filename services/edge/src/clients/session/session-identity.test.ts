import { describe, expect, it } from 'vitest';
import { rightsTo } from '../../auth/rights.ts';
import { AttendedTime, BEAT_MS, BEATS_PER_SECOND } from '../time/attended-time.ts';
import { IDENTIFY_SECONDS, SessionIdentity } from './session-identity.ts';

/** The time on the wall at beat 0, in ms since the Unix epoch. */
const START = 1_800_000_000_000;
const CLIENTS = 10_000;

describe('SessionIdentity', () => {
  it('is unidentified after 5 s without a token', () => {
    const { identity } = start();
    const end = IDENTIFY_SECONDS * BEATS_PER_SECOND;
    expect(identity.dueAt).toBe(end);
    expect(identity.judge(end - 1)).toBe('fine');
    expect(identity.judge(end)).toBe('unidentified');
  });

  it.each([0, 0.5, 0.999])('tells once, 30 to 60 s before the end (phase %f)', (phase) => {
    const { identity, time } = start(phase);
    identity.accept(endingIn(600_000), START);
    const at = identity.dueAt;
    expect(at * BEAT_MS).toBeGreaterThanOrEqual(540_000);
    expect(at * BEAT_MS).toBeLessThanOrEqual(570_000);
    time.beat = at;
    expect(identity.judge(at - 1)).toBe('fine');
    expect(identity.judge(at)).toBe('expiring');
    expect(identity.judge(at + 1)).toBe('fine');
    const { expiresInMs, graceMs } = identity.notice(START + at * BEAT_MS);
    expect(expiresInMs).toBe(600_000 - at * BEAT_MS);
    const close = identity.dueAt;
    expect(close * BEAT_MS).toBeGreaterThanOrEqual(600_000 + graceMs);
    expect(identity.judge(close - 1)).toBe('fine');
    expect(identity.judge(close)).toBe('expired');
  });

  it('never gives more grace than half of the time that the token had left', () => {
    const { identity } = start(0.999);
    identity.accept(endingIn(4_000), START);
    expect(identity.dueAt * BEAT_MS).toBeLessThanOrEqual(2_000);
    expect(identity.notice(START).graceMs).toBeLessThanOrEqual(2_000);
  });

  it('counts from the new token once that is accepted', () => {
    const { identity, time } = start();
    identity.accept(endingIn(60_000), START);
    time.beat = 50 * BEATS_PER_SECOND;
    identity.accept(endingIn(600_000), START + 50_000);
    expect(identity.judge(100 * BEATS_PER_SECOND)).toBe('fine');
    expect(identity.leftMs(START + 50_000)).toBe(550_000);
  });

  it('spreads the closes of clients whose tokens end together: no second has twice the mean', () => {
    const golden = (Math.sqrt(5) - 1) / 2;
    const seconds = closesPerSecond((i) => (i * golden) % 1);
    const mean = CLIENTS / seconds.size;
    expect(seconds.size).toBeGreaterThanOrEqual(25);
    expect(Math.max(...seconds.values())).toBeLessThanOrEqual(2 * mean);
  });

  it('control: clients of one phase are closed in one second', () => {
    expect([...closesPerSecond(() => 0.5).values()]).toEqual([CLIENTS]);
  });
});

function closesPerSecond(phaseOf: (i: number) => number): Map<number, number> {
  const seconds = new Map<number, number>();
  for (let i = 0; i < CLIENTS; i += 1) {
    const { identity } = start(phaseOf(i));
    identity.accept(endingIn(600_000), START);
    identity.judge(identity.dueAt);
    const second = Math.floor(identity.dueAt / BEATS_PER_SECOND);
    seconds.set(second, (seconds.get(second) ?? 0) + 1);
  }
  return seconds;
}

function start(phase = 0) {
  const time = new AttendedTime(0);
  return { time, identity: new SessionIdentity(time, phase) };
}

function endingIn(ms: number) {
  const rights = rightsTo(() => true);
  return { subject: 'u1', tokenId: undefined, issuedAt: 0, expiresAt: START + ms, rights };
}
