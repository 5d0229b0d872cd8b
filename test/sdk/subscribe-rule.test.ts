import { describe, expect, it } from 'vitest';
import { SubscribeRule } from './subscribe-rule.ts';

const ASKED = { type: 'subscribe', id: 1, channels: ['a', { channel: 'b' }] };

/** What the rule says of a request for `a` that follows an answer to a request for `a` and `b`. */
function breachesAfter(answer: object | undefined, id = 2): readonly string[] {
  const rule = new SubscribeRule();
  rule.sent(ASKED);
  if (answer !== undefined) rule.received(JSON.stringify(answer));
  rule.sent({ type: 'subscribe', id, channels: ['a'] });
  return rule.breaches;
}

describe('SubscribeRule', () => {
  it.each([
    ['no answer', undefined],
    ['a confirmation', { type: 'subscribed', id: 1, channels: [{ channel: 'a' }], done: true }],
    ['the end of another channel', { type: 'unsubscribed', channels: ['b'], reason: 'internal' }],
    ['an error of another request', { type: 'error', id: 7, code: 'rate_limited' }],
  ])('is broken by a second subscribe after %s', (_name, answer) => {
    expect(breachesAfter(answer)).toEqual(['a was asked for again by 2']);
  });

  it.each([
    ['a rejection', { type: 'subscribed', id: 1, channels: [], rejected: [{ channel: 'a' }] }],
    ['an error', { type: 'error', id: 1, code: 'rate_limited' }],
    ['an unsubscribe', { type: 'unsubscribed', id: 3, channels: ['a'] }],
  ])('is kept by a second subscribe after %s', (_name, answer) => {
    expect(breachesAfter(answer)).toEqual([]);
  });

  it('is kept by a change of `latest`, and broken by the same one again', () => {
    const rule = new SubscribeRule();
    const latest = { everyMs: 250 };
    rule.sent(ASKED);
    rule.sent({ type: 'subscribe', id: 2, channels: [{ channel: 'a', latest }] });
    expect(rule.breaches).toEqual([]);
    rule.sent({ type: 'subscribe', id: 3, channels: [{ channel: 'a', latest }] });
    expect(rule.breaches).toEqual(['a was asked for again by 3']);
  });

  it('is kept by a request that is sent again as it was', () => {
    expect(breachesAfter(undefined, 1)).toEqual([]);
  });
});
