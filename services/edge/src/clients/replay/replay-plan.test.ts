import { PublicationLog, ReplayMemory } from '@tradewind/fanout';
import type { ErrorCode, Latest, Position } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { publicationsOf } from '../testing/fake-upstream.ts';
import { planReplay, type ReadProgress } from './replay-plan.ts';
import { ReplaySource } from './replay-source.ts';

const EPOCH = 'k3x9';
const MAX_HISTORY = 50;
const UNREAD: ReadProgress = { end: 'unread', failure: undefined };

/** Stands at 100, and has the publications from 91 on. */
function historyAt100(): ReplaySource {
  const log = new PublicationLog(1_000_000);
  const history = new ReplaySource('a', log, new ReplayMemory(1_000_000, () => {}));
  history.beginAt({ epoch: EPOCH, offset: 90 });
  for (const publication of publicationsOf('a', 91, 100)) {
    log.append(publication);
    history.addPublication(publication);
  }
  return history;
}

function plan(
  request: { readonly since?: Position; readonly history?: number; readonly latest?: Latest },
  { asked = UNREAD, maxHistory = MAX_HISTORY, history = historyAt100() } = {},
) {
  const { since, history: wanted, latest } = request;
  const asks = { channel: 'a', since, history: wanted, latest };
  return planReplay(asks, history, maxHistory, asked);
}

const at = (offset: number, epoch = EPOCH): Position => ({ epoch, offset });
const failed = (failure: ErrorCode): ReadProgress => ({ end: 'unread', failure });

function notRecovered(reason: ErrorCode, offsets = 0) {
  return { kind: 'replay', recovered: false, reason, offsets };
}

describe('planReplay', () => {
  it('replays nothing to a client that asks for nothing', () => {
    expect(plan({})).toEqual({ kind: 'replay', recovered: undefined, offsets: 0 });
  });

  it('continues from `since`, also if nothing was missed', () => {
    expect(plan({ since: at(95) })).toEqual({ kind: 'replay', recovered: true, offsets: 5 });
    expect(plan({ since: at(100) })).toEqual({ kind: 'replay', recovered: true, offsets: 0 });
  });

  it('begins with the latest publications', () => {
    expect(plan({ history: 10 })).toEqual({ kind: 'replay', recovered: true, offsets: 10 });
  });

  it('begins with no more than the limit, which may be less than when the client asked', () => {
    const narrower = { maxHistory: 3 };
    expect(plan({ history: 10 }, narrower)).toMatchObject({ recovered: true, offsets: 3 });
    const since = at(90);
    expect(plan({ since, history: 10 }, narrower)).toEqual(notRecovered('history_too_long', 3));
  });

  it('asks the node for publications that are not here', () => {
    expect(plan({ since: at(60) })).toEqual({ kind: 'read', from: 61 });
    expect(plan({ history: 20 })).toEqual({ kind: 'read', from: 81 });
  });

  it('does not replay more than the limit, and falls back to `history`', () => {
    expect(plan({ since: at(49) })).toEqual(notRecovered('history_too_long'));
    expect(plan({ since: at(50) })).toEqual({ kind: 'read', from: 51 });
    expect(plan({ since: at(10), history: 7 })).toEqual(notRecovered('history_too_long', 7));
    expect(plan({ since: at(10), history: 20 })).toEqual({ kind: 'read', from: 81 });
  });

  it.each([
    ['an offset ahead of ours', at(101), 'offset_ahead'],
    ['another epoch', at(95, 'other'), 'epoch_changed'],
  ] as const)('believes in %s only when the node has looked', (_, since, reason) => {
    expect(plan({ since })).toEqual({ kind: 'confirm-end' });
    const asked: ReadProgress = { end: 'pending', failure: undefined };
    expect(plan({ since }, { asked })).toEqual({ kind: 'confirm-end' });
    const answered: ReadProgress = { end: 'read', failure: undefined };
    expect(plan({ since }, { asked: answered })).toEqual(notRecovered(reason));
    expect(plan({ since, history: 3 }, { asked: answered })).toEqual(notRecovered(reason, 3));
  });

  it('asks no more after a failure, and gives the publications that are here', () => {
    const asked = failed('unavailable');
    for (const since of [at(60), at(101)]) {
      expect(plan({ since }, { asked })).toEqual(notRecovered('unavailable'));
    }
    expect(plan({ history: 20 }, { asked })).toEqual(notRecovered('unavailable', 10));
    expect(plan({ since: at(95) }, { asked })).toMatchObject({ recovered: true });
  });

  it('rejects another epoch while nobody can tell which of both is over', () => {
    const rejected = { kind: 'reject', code: 'unavailable' };
    const asked = failed('unavailable');
    const since = at(95, 'other');
    expect(plan({ since }, { asked })).toEqual(rejected);
    expect(plan({ since, history: 3 }, { asked })).toEqual(rejected);
    expect(plan({ since }, { asked: failed('not_available') })).toEqual(
      notRecovered('not_available'),
    );
  });

  it('says why if the node lacks them too, and gives the rest', () => {
    const history = historyAt100();
    history.beginRead(61);
    history.storeRead(EPOCH, publicationsOf('a', 81, 100));
    expect(plan({ since: at(60) }, { history })).toEqual(notRecovered('history_trimmed'));
    expect(plan({ history: 30 }, { history })).toEqual(notRecovered('history_trimmed', 20));
  });

  it('asks only for the part that the history still holds', () => {
    const history = historyAt100();
    history.beginRead(61);
    history.storeRead(EPOCH, publicationsOf('a', 81, 100));
    history.forgetRead();
    expect(plan({ since: at(60) }, { history })).toEqual(notRecovered('history_trimmed'));
    expect(plan({ since: at(79) }, { history })).toEqual(notRecovered('history_trimmed'));
    expect(plan({ since: at(80) }, { history })).toEqual({ kind: 'read', from: 81 });
    expect(plan({ history: 30 }, { history })).toEqual({ kind: 'read', from: 81 });
    expect(plan({ since: at(60), history: 5 }, { history })).toEqual(
      notRecovered('history_trimmed', 5),
    );
  });

  it('replays the newest alone to a client that wants the latest, however much that leaves out', () => {
    const latest = { everyMs: 250 };
    const one = { kind: 'replay', recovered: true, offsets: 1 };
    expect(plan({ since: at(95), latest })).toEqual({ ...one, skipped: 4 });
    expect(plan({ since: at(99), latest })).toEqual(one);
    expect(plan({ since: at(100), latest })).toEqual({ ...one, offsets: 0 });
    expect(plan({ since: at(1), latest }), 'beyond the limit').toEqual({ ...one, skipped: 98 });
    expect(plan({ history: 10, latest })).toEqual({ ...one, offsets: 10 });
    expect(plan({ since: at(1, 'other'), latest })).toEqual({ kind: 'confirm-end' });
    const none = new ReplaySource('a', new PublicationLog(0), new ReplayMemory(0, () => {}));
    none.beginAt(at(100));
    expect(plan({ since: at(1), latest }, { history: none })).toEqual({ kind: 'read', from: 100 });
  });

  it('replays the newest before the holes at the end to a client that wants the latest', () => {
    const latest = { everyMs: 250 };
    const recovered = { kind: 'replay', recovered: true };
    const history = historyAt100();
    history.addGap({ from: 101, to: 101, reason: 'too_large' });
    history.addGap({ from: 102, to: 103, reason: 'unreadable' });
    const planned = plan({ since: at(50), latest }, { history });
    expect(planned).toEqual({ ...recovered, offsets: 4, skipped: 49 });
    expect(history.takeLatest(4)?.count).toBe(1);
    expect(plan({ since: at(100), latest }, { history })).toEqual({ ...recovered, offsets: 3 });
    expect(plan({ since: at(101), latest }, { history })).toEqual({ ...recovered, offsets: 2 });
    expect(plan({ since: at(103), latest }, { history })).toEqual({ ...recovered, offsets: 0 });
  });

  it('reads twice as far each time while it finds nothing but holes', () => {
    const latest = { everyMs: 250 };
    const history = new ReplaySource(
      'a',
      new PublicationLog(0),
      new ReplayMemory(1_000_000, () => {}),
    );
    history.beginAt(at(100));
    const reads: number[] = [];
    for (;;) {
      const planned = plan({ since: at(1), latest }, { history });
      if (planned.kind !== 'read') {
        expect(planned).toEqual({ kind: 'replay', recovered: true, offsets: 21, skipped: 78 });
        break;
      }
      reads.push(planned.from);
      history.beginRead(planned.from);
      const lost = { from: Math.max(81, planned.from), to: 100, reason: 'too_large' } as const;
      history.storeRead(EPOCH, [...publicationsOf('a', planned.from, 80), lost]);
    }
    expect(reads).toEqual([100, 98, 94, 86, 70]);
  });

  it('handles channels without history, and nodes without', () => {
    const history = new ReplaySource('a', new PublicationLog(0), new ReplayMemory(0, () => {}));
    const answered: ReadProgress = { end: 'read', failure: undefined };
    const asked = { history, asked: answered };
    expect(plan({ since: at(5) }, { history })).toEqual({ kind: 'confirm-end' });
    expect(plan({ since: at(5) }, asked)).toEqual(notRecovered('no_history'));
    expect(plan({ since: at(5) }, { history, asked: failed('unavailable') })).toEqual({
      ...{ kind: 'reject', code: 'unavailable' },
    });
    expect(plan({ since: at(5) }, { history, asked: failed('not_available') })).toEqual(
      notRecovered('not_available'),
    );
    expect(plan({ history: 5 }, { history })).toMatchObject({ recovered: true, offsets: 0 });
    expect(plan({ history: 5 }, { maxHistory: 0 })).toEqual(notRecovered('not_available'));
  });
});
