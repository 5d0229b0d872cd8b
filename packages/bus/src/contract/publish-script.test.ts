import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EPOCH_SCRIPT, readEpochReply } from './epoch-script.ts';
import {
  MAX_HISTORY_SIZE,
  MAX_IDEMPOTENCY_KEY_BYTES,
  PUBLISH_SCRIPT,
  publishArguments,
  publishKeys,
  readPublishReply,
} from './publish-script.ts';

function document(name: string): string {
  return readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');
}

describe('the publish script', () => {
  it('differs from the epoch script, of the same file, in its last line alone', () => {
    const [publish, epoch] = [PUBLISH_SCRIPT, EPOCH_SCRIPT].map(({ text }) => text.split('\n'));
    expect(publish?.slice(0, -2)).toEqual(epoch?.slice(0, -2));
    expect(publish?.at(-2)).toBe('return publish(KEYS, ARGV)');
    expect(epoch?.at(-2)).toBe('return start_epoch(KEYS, ARGV)');
  });

  it('has the same limits in Lua as here', () => {
    expect(PUBLISH_SCRIPT.text).toContain(`local MAX_HISTORY = ${MAX_HISTORY_SIZE}\n`);
    expect(PUBLISH_SCRIPT.text).toContain(`if #once > ${MAX_IDEMPOTENCY_KEY_BYTES} then`);
  });

  it.each([
    ...[
      'publishing.md',
      'publish/publish.go',
      'publish/Publisher.java',
      'publish/conformance.json',
    ],
  ])('has the SHA-1 that docs/%s names', (name) => {
    expect(document(name)).toContain(PUBLISH_SCRIPT.sha);
  });

  it('refuses with no other words than docs/publishing.md explains', () => {
    const words = PUBLISH_SCRIPT.text.matchAll(/refuse\('([A-Z]+)'/g);
    for (const [, word] of words) expect(document('publishing.md')).toContain(`| \`${word}\` |`);
  });

  it.each([
    ...['NOPERM', 'ERR', 'OOM', 'READONLY', 'NOSCRIPT', 'NOREPLICAS', 'MASTERDOWN', 'MISCONF'],
    ...['LOADING', 'BUSY', 'CLUSTERDOWN', 'TRYAGAIN'],
  ])('can be refused by Redis with %s, which docs/publishing.md explains', (word) => {
    expect(document('publishing.md')).toMatch(new RegExp(`^\\| .*\`${word}\``, 'm'));
  });

  it('takes its keys and arguments in the order of the contract', () => {
    expect(publishKeys('BTC.trade')).toEqual(['{BTC.trade}:meta', '{BTC.trade}:log']);
    const channel = 'BTC.trade';
    const payload = 'p';
    const required = {
      channel,
      payload,
      historySize: 100,
      historyTtlMs: 2,
      idempotencyWindowMs: 3,
    };
    expect(publishArguments(required)).toEqual([channel, 'p', '100', '2', '', '3', '0']);
    expect(publishArguments({ ...required, idempotencyKey: 'k', notAfterMs: 4 })).toEqual([
      ...[channel, 'p', '100', '2', 'k', '3', '4'],
    ]);
  });

  it('passes on the bytes of a view', () => {
    const payload = new Uint8Array([1, 0xff, 0, 2]).subarray(1, 3);
    const base = { channel: 'a', historySize: 0, historyTtlMs: 0, idempotencyWindowMs: 0 };
    expect(publishArguments({ ...base, payload })[1]).toEqual(Buffer.from([0xff, 0]));
  });

  it('reads its own answers, and no others', () => {
    expect(readPublishReply(['k', 5, 0])).toEqual({ epoch: 'k', offset: 5, duplicate: false });
    expect(readPublishReply(['k', 5, 1])).toEqual({ epoch: 'k', offset: 5, duplicate: true });
    expect(readEpochReply([1, 'k', 5])).toEqual({ changed: true, epoch: 'k', offset: 5 });
    for (const reply of [null, 'OK', [], ['k'], ['k', '5', 0]])
      expect(() => readPublishReply(reply)).toThrow(PUBLISH_SCRIPT.name);
    expect(() => readEpochReply(1)).toThrow(EPOCH_SCRIPT.name);
  });
});
