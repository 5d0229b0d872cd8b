import { type KeptRevocations, type Revocation, writeRevocation } from '@tradewind/bus';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RevocationSource } from './revocation-source.ts';

let source: RevocationSource;
let told: string[];
let revoked: (readonly Revocation[])[];
/** Reads that are not answered, the oldest first. */
let reads: PromiseWithResolvers<KeptRevocations>[];
let until: number;

beforeEach(() => {
  vi.useFakeTimers();
  until = Date.now() + 3_600_000;
  told = [];
  revoked = [];
  reads = [];
  const events = {
    revocationsRead: (count: number, leftOut: number) => void told.push(`read ${count} ${leftOut}`),
    revocationsUnreadable: (cause: string) => void told.push(`unreadable: ${cause}`),
    revocationsRefused: (cause: string) => void told.push(`refused: ${cause}`),
    revocationMalformed: () => void told.push('malformed'),
    revocationsFull: () => void told.push('full'),
  };
  const store = {
    readRevocations() {
      const read = Promise.withResolvers<KeptRevocations>();
      reads.push(read);
      return read.promise;
    },
  };
  source = new RevocationSource(store, events, (news) => void revoked.push(news));
});

afterEach(() => {
  source.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const of = (subject: string): Revocation => ({ subject, until });
const message = (subject: string) => Buffer.from(writeRevocation(of(subject)));

async function answer(...subjects: readonly string[]): Promise<void> {
  reads.shift()?.resolve({ revocations: subjects.map(of), leftOut: 0 });
  await pass(0);
}

async function fail(cause = 'down'): Promise<void> {
  reads.shift()?.reject(new Error(cause));
  await pass(0);
}

describe('RevocationSource', () => {
  it('reads what is kept once the channel is confirmed, and after each relink', async () => {
    expect(source.isCurrent).toBe(false);
    source.confirmSubscription();
    await answer('a');
    expect(revoked).toEqual([[of('a')]]);
    expect(source.isCurrent).toBe(true);
    source.markCutOff();
    expect(source.isCurrent).toBe(false);
    source.confirmSubscription();
    await answer('a', 'b');
    expect(revoked.at(-1)).toEqual([of('a'), of('b')]);
    expect(source.isCurrent).toBe(true);
    expect(source.current()).toEqual([of('a'), of('b')]);
    expect(told).toEqual(['read 1 0', 'read 2 0']);
  });

  it('tells of all messages of one turn together, and of nothing that is no revocation', async () => {
    source.addMessage(message('a'));
    source.addMessage(Buffer.from('junk'));
    source.addMessage(message('b'));
    await pass(0);
    expect(revoked).toEqual([[of('a'), of('b')]]);
    expect(told).toEqual(['malformed']);
  });

  it('reads again what may be older than the subscription', async () => {
    source.confirmSubscription();
    source.markCutOff();
    source.confirmSubscription();
    expect(reads).toHaveLength(1);
    await answer('a');
    expect(source.isCurrent).toBe(false);
    await answer('a', 'b');
    expect(source.isCurrent).toBe(true);
    expect(source.current()).toEqual([of('a'), of('b')]);
  });

  it('is not current when the link is lost during a read', async () => {
    source.confirmSubscription();
    source.markCutOff();
    await answer('a');
    expect(source.isCurrent).toBe(false);
    expect(source.current()).toEqual([of('a')]);
  });

  it('reads again within a second when a read fails, and at once when Redis takes commands again', async () => {
    source.confirmSubscription();
    await fail();
    expect(reads).toHaveLength(0);
    await pass(200);
    await fail();
    source.retryRead();
    expect(reads).toHaveLength(1);
    await answer('a');
    expect(source.isCurrent).toBe(true);
    source.retryRead();
    expect(reads).toHaveLength(0);
    expect(told).toEqual(['unreadable: down', 'unreadable: down', 'read 1 0']);
  });

  it('asks a Redis that refuses ever more rarely', async () => {
    source.confirmSubscription();
    let asked = 0;
    for (let second = 0; second < 300; second += 1) {
      if (reads.length > 0) asked += 1;
      await fail('NOPERM');
      await pass(1_000);
    }
    expect(asked).toBeGreaterThan(10);
    expect(asked).toBeLessThan(25);
  });

  it('reads once where it may not subscribe, and does not count as current', async () => {
    source.readUnsubscribed('NOPERM no channel');
    await answer('a');
    expect(source.current()).toEqual([of('a')]);
    expect(source.isCurrent).toBe(false);
    expect(told[0]).toBe('refused: NOPERM no channel');
  });

  it('forgets nothing that it knew when Redis has lost it', async () => {
    source.confirmSubscription();
    await answer('a');
    source.markCutOff();
    source.confirmSubscription();
    await answer();
    expect(source.current()).toEqual([of('a')]);
  });

  it('says nothing once it is stopped', async () => {
    source.addMessage(message('a'));
    source.confirmSubscription();
    source.stop();
    await answer('b');
    expect(revoked).toEqual([]);
    expect(told).toEqual([]);
  });
});
