import { describe, expect, it } from 'vitest';
import type { Expectation } from './complaint.ts';
import { Ledger } from './ledger.ts';
import { Oracle } from './oracle.ts';
import type { ServerFrame } from './server-frame.ts';

const CHANNEL = 'BTC.trade';

function publication(seq: number, offset: number, number: number): ServerFrame {
  return { type: undefined, seq, channel: CHANNEL, offset, data: `{"n":${number}}` };
}

function start(offset: number): { ledger: Ledger; oracle: Oracle } {
  const ledger = new Ledger();
  const oracle = new Oracle('client', ledger);
  oracle.connected();
  oracle.asked(CHANNEL);
  const channels = [{ channel: CHANNEL, ref: 1, epoch: 'a', offset }];
  oracle.take({ type: 'subscribed', channels, done: true });
  return { ledger, oracle };
}

function publish(ledger: Ledger, offset: number, number: number): void {
  ledger.acknowledged(CHANNEL, { epoch: 'a', offset }, `{"n":${number}}`);
}

const NO_NEWS: Expectation = { lost: 'nothing', epochs: 0 };

function kinds(oracle: Oracle, expected?: Expectation): string[] {
  return oracle.finish(expected).map(({ kind }) => kind);
}

/** The client reconnects, sends its position, and gets this answer. */
function resume(oracle: Oracle, answer: object): void {
  oracle.connected();
  oracle.asked(CHANNEL, oracle.position(CHANNEL));
  const channels = [{ channel: CHANNEL, ref: 1, epoch: 'a', offset: 0, replayed: 0, ...answer }];
  oracle.take({ type: 'subscribed', channels, done: true });
}

describe('Oracle', () => {
  it('notices that the last publication of a channel is missing', () => {
    const { ledger, oracle } = start(0);
    publish(ledger, 1, 1);
    publish(ledger, 2, 2);
    oracle.take(publication(1, 1, 1));
    expect(oracle.behind()).toEqual([CHANNEL]);
    expect(kinds(oracle)).toEqual(['missing']);
  });

  it('notices a failover that used offsets again and was reported to nobody', () => {
    const { ledger, oracle } = start(0);
    for (const n of [1, 2, 3]) publish(ledger, n, n);
    for (const n of [1, 2, 3]) oracle.take(publication(n, n, n));
    // 2 and 3 are lost, and 2 to 4 are used again under the same epoch.
    for (const n of [4, 5, 6]) publish(ledger, n - 2, n);
    oracle.take(publication(4, 4, 6));
    expect(kinds(oracle)).toEqual(['silent-hole']);
  });

  it('accepts a failover whose lost writes this client never received', () => {
    const { ledger, oracle } = start(0);
    for (const n of [1, 2, 3]) publish(ledger, n, n);
    oracle.take(publication(1, 1, 1));
    for (const n of [4, 5]) publish(ledger, n - 2, n);
    oracle.take(publication(2, 2, 4));
    oracle.take(publication(3, 3, 5));
    expect(kinds(oracle)).toEqual([]);
  });

  it('accepts a failover after which a new epoch was reported', () => {
    const { ledger, oracle } = start(0);
    for (const n of [1, 2]) publish(ledger, n, n);
    for (const n of [1, 2]) oracle.take(publication(n, n, n));
    publish(ledger, 2, 3);
    oracle.take({
      ...{ type: 'resync', channel: CHANNEL, epoch: 'b', offset: 0, reason: 'history_lost' },
    });
    ledger.acknowledged(CHANNEL, { epoch: 'b', offset: 1 }, '{"n":4}');
    oracle.take(publication(3, 1, 4));
    expect(kinds(oracle)).toEqual([]);
  });

  it('notices a payload that was published twice under two offsets', () => {
    const { ledger, oracle } = start(0);
    publish(ledger, 1, 1);
    ledger.uncertain(CHANNEL, '{"n":2}');
    publish(ledger, 3, 2);
    for (const [offset, n] of [1, 2, 2].entries())
      oracle.take(publication(offset + 1, offset + 1, n));
    expect(kinds(oracle)).toContain('duplicate');
  });

  it('accepts publications with an unknown outcome', () => {
    const { ledger, oracle } = start(0);
    ledger.uncertain(CHANNEL, '{"n":1}');
    oracle.take(publication(1, 1, 1));
    expect(kinds(oracle)).toEqual([]);
  });

  it('notices what a client missed that reconnected without its position', () => {
    const { ledger, oracle } = start(0);
    for (const n of [1, 2, 3]) publish(ledger, n, n);
    oracle.take(publication(1, 1, 1));
    oracle.connected();
    oracle.asked(CHANNEL);
    const channels = [{ channel: CHANNEL, ref: 1, epoch: 'a', offset: 3 }];
    oracle.take({ type: 'subscribed', channels, done: true });
    expect(kinds(oracle)).toEqual(['silent-hole']);
  });

  it('notices a partial recovery', () => {
    const { ledger, oracle } = start(0);
    for (const n of [1, 2, 3]) publish(ledger, n, n);
    oracle.take(publication(1, 1, 1));
    oracle.connected();
    oracle.asked(CHANNEL, { epoch: 'a', offset: 1 });
    const answer = {
      channel: CHANNEL,
      ref: 1,
      epoch: 'a',
      offset: 3,
      recovered: true,
      replayed: 1,
    };
    oracle.take({ type: 'subscribed', channels: [answer], done: true });
    oracle.take(publication(1, 3, 3));
    expect(new Set(kinds(oracle))).toEqual(new Set(['bad-answer', 'silent-hole']));
  });

  it('complains about a correct gap if losses are not expected', () => {
    for (const [expected, found] of [
      [NO_NEWS, ['told-lost']],
      [undefined, []],
    ] as const) {
      const { ledger, oracle } = start(0);
      publish(ledger, 1, 1);
      const range = { epoch: 'a', from: 1, to: 1, lost: 1 };
      oracle.take({ type: 'gap', channel: CHANNEL, ...range, reason: 'trimmed' });
      expect(kinds(oracle, expected)).toEqual(found);
      expect(oracle.counts).toMatchObject({ gaps: 1, lost: 1 });
    }
  });

  it('complains about an answer without recovery if losses are not expected', () => {
    const { ledger, oracle } = start(0);
    publish(ledger, 1, 1);
    resume(oracle, { offset: 1, recovered: false, reason: 'history_trimmed' });
    expect(kinds(oracle, NO_NEWS)).toEqual(['not-recovered']);
    expect(oracle.counts).toMatchObject({ recovered: 0, notRecovered: 1, epochs: 0 });
  });

  it('counts new epochs in every kind of frame, without the first one', () => {
    const oracle = new Oracle('client', new Ledger());
    oracle.connected();
    oracle.asked(CHANNEL);
    oracle.take({ type: 'subscribed', channels: [{ channel: CHANNEL, ref: 1 }], done: true });
    const resync = { type: 'resync', channel: CHANNEL, offset: 0 } as const;
    oracle.take({ ...resync, epoch: 'a', reason: 'started' });
    oracle.take({ ...resync, epoch: 'b', reason: 'history_lost' });
    resume(oracle, { epoch: 'c', recovered: false, reason: 'epoch_changed' });
    expect(oracle.counts).toMatchObject({ beginnings: 1, epochs: 2, notRecovered: 0 });
    expect(kinds(oracle, { lost: 'nothing', epochs: 1 })).toEqual(['epochs-told']);
  });

  it('complains about a first epoch that is told as lost history, and about the reverse', () => {
    const oracle = new Oracle('client', new Ledger());
    oracle.connected();
    oracle.asked(CHANNEL);
    oracle.take({ type: 'subscribed', channels: [{ channel: CHANNEL, ref: 1 }], done: true });
    const resync = { type: 'resync', channel: CHANNEL, offset: 0 } as const;
    oracle.take({ ...resync, epoch: 'a', reason: 'history_lost' });
    oracle.take({ ...resync, epoch: 'b', reason: 'started' });
    expect(kinds(oracle)).toEqual(['bad-resync', 'bad-resync']);
  });

  it('complains about a channel whose epoch in Redis was never reported', () => {
    const { ledger, oracle } = start(0);
    ledger.found(CHANNEL, { epoch: 'b', offset: 0 });
    expect(kinds(oracle)).toEqual(['missing']);
  });

  it('complains about an epoch that Redis does not have', () => {
    const { ledger, oracle } = start(0);
    publish(ledger, 1, 1);
    oracle.take(publication(1, 1, 1));
    const resync = { type: 'resync', channel: CHANNEL, reason: 'history_lost' } as const;
    oracle.take({ ...resync, epoch: 'made-up', offset: 5 });
    ledger.found(CHANNEL, { epoch: 'a', offset: 1 });
    expect(kinds(oracle)).toEqual(['missing']);
  });

  it('notices that it is ahead of Redis', () => {
    const { ledger, oracle } = start(0);
    for (const n of [1, 2]) publish(ledger, n, n);
    for (const n of [1, 2]) oracle.take(publication(n, n, n));
    ledger.found(CHANNEL, { epoch: 'a', offset: 1 });
    expect(kinds(oracle)).toEqual(['beyond']);
  });

  it('notices a gap of publications that nobody published', () => {
    const { ledger, oracle } = start(0);
    publish(ledger, 1, 1);
    oracle.take(publication(1, 1, 1));
    const range = { epoch: 'a', from: 2, to: 9, lost: 8 };
    oracle.take({ type: 'gap', channel: CHANNEL, ...range, reason: 'link' });
    expect(kinds(oracle)).toEqual(['bad-gap']);
  });

  it('follows plain publications by the numbers in their payloads', () => {
    const { oracle } = start(0);
    const plain = (seq: number, n: number): ServerFrame => ({
      ...{ type: undefined, seq, channel: CHANNEL, data: `{"n":${n}}` },
    });
    oracle.take(plain(1, 1));
    oracle.take({ type: 'gap', channel: CHANNEL, reason: 'link' });
    oracle.take(plain(2, 5));
    expect(oracle.complaints).toEqual([]);
    oracle.take(plain(3, 7));
    expect(kinds(oracle)).toEqual(['silent-hole']);
  });

  it('notices numbers that were skipped and never reported', () => {
    const { ledger, oracle } = start(0);
    publish(ledger, 1, 1);
    oracle.take(publication(2, 1, 1));
    expect(kinds(oracle)).toEqual(['bad-seq']);
  });
});
