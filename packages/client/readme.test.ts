import { readFile } from 'node:fs/promises';
import { CLOSE_CODES, ERROR_CODES } from '@tradewind/protocol';
import { expect, it } from 'vitest';

const README = await readFile(new URL('README.md', import.meta.url), 'utf8');

it('names close codes and error codes as the protocol does', () => {
  const closes = [...README.matchAll(/^\| (\d{4}) \| `(\w+)` \|/gm)];
  expect(closes).not.toEqual([]);
  for (const [, code, name] of closes) {
    expect(CLOSE_CODES[name as keyof typeof CLOSE_CODES].code).toBe(Number(code));
  }
  const rows = README.slice(README.indexOf('### Why a channel cannot be had')).matchAll(
    /^\| (`.+`) \| (yes|no) \|/gm,
  );
  /** The SDK's own, and one that only a new token changes, which the SDK gets by itself. */
  const own: Readonly<Record<string, string>> = { invalid_data: 'no', token_expired: 'yes' };
  for (const [, codes, retryable] of rows) {
    for (const [, code] of codes!.matchAll(/`(\w+)`/g)) {
      const known = ERROR_CODES[code as keyof typeof ERROR_CODES];
      expect([code, retryable]).toEqual([code, own[code!] ?? (known.retryable ? 'yes' : 'no')]);
    }
  }
});
