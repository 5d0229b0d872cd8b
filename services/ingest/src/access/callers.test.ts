import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { Callers } from './callers.ts';
import type { TokenEntry } from './token-entries.ts';

const LARGEST = { items: 10, bytes: 100 };

function entry(token: string, changes: Partial<TokenEntry> = {}): TokenEntry {
  const hash = createHash('sha256').update(token).digest('hex');
  return { name: `of-${token}`, hash, channels: ['*'], rights: ['publish'], rates: {}, ...changes };
}

function request(token?: string): IncomingMessage {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return { headers, socket: { remoteAddress: '127.0.0.1' } } as unknown as IncomingMessage;
}

describe('Callers', () => {
  it('knows each token by its hash, and nobody else', () => {
    const callers = new Callers(['old'], [entry('a'), entry('b')], LARGEST);
    const names = ['a', 'b', 'old', 'c', undefined].map(
      (token) => callers.find(request(token))?.name,
    );
    expect(names).toEqual(['of-a', 'of-b', 'INGEST_TOKENS:1', undefined, undefined]);
    expect(callers.find(request(entry('a').hash))).toBeUndefined();
  });

  it('gives what the entry says, and INGEST_TOKENS everything', () => {
    const narrow = entry('a', { channels: ['BTC.*'], rights: ['revoke'] });
    const callers = new Callers(['old'], [narrow], LARGEST);
    const caller = callers.find(request('a'));
    expect(['BTC.trade', 'ETH.trade'].map((name) => caller?.mayPublish(name))).toEqual([
      true,
      false,
    ]);
    expect([...(caller?.rights ?? [])]).toEqual(['revoke']);
    const old = callers.find(request('old'));
    expect(old?.mayPublish('ETH.trade')).toBe(true);
    expect([...(old?.rights ?? [])]).toEqual(['publish', 'revoke']);
  });

  it('lets an entry narrow a token of INGEST_TOKENS', () => {
    const callers = new Callers(['a'], [entry('a', { channels: [] })], LARGEST);
    expect(callers.find(request('a'))?.mayPublish('ETH.trade')).toBe(false);
  });

  it('is open without tokens and without a file, and closed with a file that lost its entries', () => {
    const open = new Callers([], undefined, LARGEST);
    expect(open.find(request())).toMatchObject({ name: '127.0.0.1' });
    const callers = new Callers([], [entry('a')], LARGEST);
    callers.replace([]);
    expect(callers.find(request())).toBeUndefined();
  });

  it('goes by the new entries, and keeps what a token has spent while its rates stay', () => {
    const rates = { publicationsPerSecond: 10 };
    const callers = new Callers([], [entry('a', { rates }), entry('b')], LARGEST);
    const spend = () => callers.find(request('a'))?.budget.take(performance.now(), 10, 0)?.limit;
    expect(spend()).toBeUndefined();
    callers.replace([entry('a', { rates, channels: ['x'] })]);
    expect(callers.find(request('b'))).toBeUndefined();
    expect(callers.find(request('a'))?.mayPublish('y')).toBe(false);
    expect(spend()).toBe('token_publications');
    callers.replace([entry('a', { rates: { publicationsPerSecond: 11 } })]);
    expect(spend()).toBeUndefined();
  });
});

describe('CallerBudget', () => {
  const budgetOf = (rates: TokenEntry['rates']) => {
    const callers = new Callers([], [], LARGEST);
    callers.replace([entry('a', { rates })], 0);
    return callers.find(request('a'))!.budget;
  };

  it('has no limit without rates', () => {
    expect(budgetOf({}).take(0, 1e6, 1e9)).toBeUndefined();
  });

  it('has room for the largest request, however low the rate is', () => {
    const budget = budgetOf({ publicationsPerSecond: 1, bytesPerSecond: 1 });
    expect(budget.take(0, 10, 100)).toBeUndefined();
    expect(budget.take(0, 1, 1)).toEqual({ limit: 'token_publications', waitMs: 1_000 });
  });

  it('takes nothing of one rate when the other refuses, and gives back', () => {
    const budget = budgetOf({ publicationsPerSecond: 10, bytesPerSecond: 100 });
    expect(budget.take(0, 1, 101)).toEqual({ limit: 'token_bytes', waitMs: 10 });
    expect(budget.take(0, 10, 100)).toBeUndefined();
    budget.giveBack(0, 10, 100);
    expect(budget.take(0, 10, 100)).toBeUndefined();
  });
});
