import { describe, expect, it } from 'vitest';
import { AttendedTime, BEATS_PER_SECOND } from '../time/attended-time.ts';
import { Liveness, type LivenessVerdict } from './liveness.ts';

const PING = 25 * BEATS_PER_SECOND;
const PONG = 10 * BEATS_PER_SECOND;
const LIMITS = { pingAfterBeats: PING, deadAfterBeats: PONG };

describe('Liveness', () => {
  it('pings a silent peer once, and calls it dead if no answer comes', () => {
    const { liveness, time } = start();
    const verdicts = beats(time, liveness, PING + PONG);
    const pingedAt = verdicts.indexOf('ping') + 1;
    expect(pingedAt).toBeGreaterThan(PING / 2);
    expect(pingedAt).toBeLessThanOrEqual(PING);
    expect(verdicts.lastIndexOf('ping') + 1).toBe(pingedAt);
    expect(verdicts.indexOf('dead') + 1).toBe(PING + PONG);
  });

  it('stays dead until the owner acts on it', () => {
    const { liveness, time } = start();
    beats(time, liveness, PING + PONG);
    expect(beats(time, liveness, 2)).toEqual(['dead', 'dead']);
  });

  it('starts its interval again with each sign of life, also after a ping', () => {
    const { liveness, time } = start();
    beats(time, liveness, PING + PONG - 1);
    liveness.recordLife();
    expect(beats(time, liveness, PING / 2)).toEqual(Array(PING / 2).fill('fine'));
    expect(beats(time, liveness, PING / 2)).toContain('ping');
  });

  it('pings no peer that sends often enough', () => {
    const { liveness, time } = start();
    for (let i = 0; i < 1_000; i += 1) {
      expect(beats(time, liveness, PING / 2)).not.toContain('ping');
      liveness.recordLife();
    }
  });

  it('gives a peer that was pinged late the full time for its answer', () => {
    const { liveness, time } = start();
    time.beat += 3 * PING;
    expect(liveness.check()).toBe('ping');
    expect(beats(time, liveness, PONG)).toEqual([...Array(PONG - 1).fill('fine'), 'dead']);
  });

  it('needs a check only when it says so', () => {
    for (const answers of [true, false]) {
      const { liveness, time } = start(0.3);
      const all: [number, LivenessVerdict][] = [];
      let dueAt = liveness.dueAt;
      while (all.length < 5 && time.beat < 10 * PING) {
        time.beat += 1;
        if (time.beat < dueAt) continue;
        const verdict = liveness.check();
        if (verdict !== 'fine') all.push([time.beat, verdict]);
        dueAt = Math.max(time.beat + 1, liveness.dueAt);
        if (verdict === 'ping' && answers) liveness.recordLife();
      }
      const first = PING / 2 + 0.3 * (PING / 2);
      const wanted = answers
        ? [0, 1, 2, 3, 4].map((n) => [first + n * PING, 'ping'])
        : [[first, 'ping'], ...[0, 1, 2, 3].map((n) => [PING + PONG + n, 'dead'])];
      expect(all).toEqual(wanted);
    }
  });
});

describe('Pings of 10,000 peers that came together and send together', () => {
  const PEERS = 10_000;
  /** Spread over half of an interval, a beat has 1 in 250 of them on average. */
  const MOST_PER_BEAT = (1.2 * PEERS) / (PING / 2);

  it('are spread in each interval', () => {
    const time = new AttendedTime(0);
    const peers = Array.from(
      { length: PEERS },
      (_, i) => new Liveness(LIMITS, time, (i * 0.618034) % 1),
    );
    const dueAt = peers.map((peer) => peer.dueAt);
    const look = () =>
      peers.filter((peer, i) => {
        if (time.beat < (dueAt[i] as number)) return false;
        const verdict = peer.check();
        dueAt[i] = peer.dueAt;
        return verdict === 'ping';
      });
    expectSpread(time, peers, look);
  });

  it('are not, if each message of a peer starts its interval (control)', () => {
    const time = new AttendedTime(0);
    const peers = Array.from({ length: PEERS }, (_, i) => ({
      silentBeats: Math.floor(((i * 0.618034) % 1) * PING),
      recordLife() {
        this.silentBeats = 0;
      },
    }));
    const look = () => peers.filter((peer) => ++peer.silentBeats === PING);
    expect(() => expectSpread(time, peers, look)).toThrow('most pings of one beat');
  });

  function expectSpread<Peer extends { recordLife(): void }>(
    time: AttendedTime,
    peers: readonly Peer[],
    look: () => readonly Peer[],
  ): void {
    for (let interval = 0; interval < 3; interval += 1) {
      // All subscribe; from then on they only answer pings.
      for (const peer of peers) peer.recordLife();
      let pinged = 0;
      let most = 0;
      for (let beat = 0; beat < PING; beat += 1) {
        time.beat += 1;
        const now = look();
        for (const peer of now) peer.recordLife();
        pinged += now.length;
        most = Math.max(most, now.length);
      }
      expect(pinged).toBe(PEERS);
      expect(most, 'most pings of one beat').toBeLessThanOrEqual(MOST_PER_BEAT);
    }
  }
});

function start(phase = 0) {
  const time = new AttendedTime(0);
  return { time, liveness: new Liveness(LIMITS, time, phase) };
}

function beats(time: AttendedTime, liveness: Liveness, count: number): LivenessVerdict[] {
  return Array.from({ length: count }, () => {
    time.beat += 1;
    return liveness.check();
  });
}
