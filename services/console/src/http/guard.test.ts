import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { ACTION_HEADER, Guard, SESSION_MS } from './guard.ts';

const TOKEN = 'a-token-of-an-operator-with-enough';

function request(headers: Readonly<Record<string, string>>): IncomingMessage {
  return { headers: { host: '127.0.0.1:8090', ...headers } } as unknown as IncomingMessage;
}

function cookieOf(guard: Guard, now: number): string {
  const result = guard.login(TOKEN, false, now);
  if (typeof result !== 'object') throw new Error(`no cookie: ${result}`);
  return result.cookie.split(';')[0] as string;
}

describe('the guard', () => {
  it.each([
    ['a name that leads here by rebinding', { host: 'evil.example:8090' }, 'host'],
    ['no name', { host: '' }, 'host'],
    ['another page', { origin: 'https://evil.example' }, 'origin'],
    ['a page without an origin', { origin: 'null' }, 'origin'],
    ['another port of this machine', { origin: 'http://127.0.0.1:3000' }, 'origin'],
    ['a link of another site', { 'sec-fetch-site': 'cross-site' }, 'origin'],
  ])('refuses %s', (_what, headers, refusal) => {
    const fault = new Guard(undefined, []).refusal(request(headers));
    expect(fault?.code).toBe(`${refusal}_not_allowed`);
  });

  it('lets its own page pass, and a name that was configured', () => {
    const guard = new Guard(undefined, ['console.example']);
    const own = { origin: 'http://127.0.0.1:8090', 'sec-fetch-site': 'same-origin' };
    expect(guard.refusal(request(own))).toBeUndefined();
    expect(guard.refusal(request({ host: 'Console.Example' }))).toBeUndefined();
  });

  it('lets nobody act without a token', () => {
    const guard = new Guard(undefined, []);
    const own = { origin: 'http://127.0.0.1:8090', [ACTION_HEADER]: '1' };
    expect(guard.maySee(request({}), 0)).toBe(true);
    expect(guard.mayAct(request(own), 0)).toBe(false);
    expect(guard.login('', false, 0)).toBe('wrong');
  });

  it('knows when a login ends, and that a cookie of another process is none', () => {
    const guard = new Guard(TOKEN, []);
    const cookie = cookieOf(guard, 5_000);
    expect(guard.sessionEndsAt(request({ cookie }))).toBe(5_000 + SESSION_MS);
    expect(new Guard(TOKEN, []).sessionEndsAt(request({ cookie }))).toBe(0);
    expect(guard.sessionEndsAt(request({}))).toBe(0);
    expect(new Guard(undefined, []).sessionEndsAt(request({}))).toBeUndefined();
  });

  it('lets an operator see and act for twelve hours, from our page only', () => {
    const guard = new Guard(TOKEN, []);
    const cookie = cookieOf(guard, 0);
    const own = { cookie, origin: 'http://127.0.0.1:8090', [ACTION_HEADER]: '1' };
    expect(guard.maySee(request({}), 0)).toBe(false);
    expect(guard.maySee(request({ cookie }), 0)).toBe(true);
    expect(guard.mayAct(request(own), 0)).toBe(true);
    expect(guard.mayAct(request({ cookie, origin: own.origin }), 0)).toBe(false);
    expect(guard.mayAct(request({ cookie, [ACTION_HEADER]: '1' }), 0)).toBe(false);
    expect(guard.maySee(request({ cookie }), SESSION_MS)).toBe(false);
  });

  it('accepts no cookie that it did not sign', () => {
    const guard = new Guard(TOKEN, []);
    const other = cookieOf(new Guard(TOKEN, []), 0);
    const [name = '', signature = ''] = cookieOf(guard, 0).split('.');
    const longer = `${name.replace(/\d+$/, String(SESSION_MS * 2))}.${signature}`;
    for (const cookie of [other, longer, 'tradewind_console=', 'tradewind_console=1.']) {
      expect(guard.maySee(request({ cookie }), 0)).toBe(false);
    }
  });

  it('looks at no token after five wrong ones, not even at the right one', () => {
    const guard = new Guard(TOKEN, []);
    const results = Array.from({ length: 6 }, () => guard.login('wrong', false, 0));
    expect(results).toEqual([...Array(5).fill('wrong'), 'too_many']);
    expect(guard.login(TOKEN, false, 0)).toBe('too_many');
  });
});
