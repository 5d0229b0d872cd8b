import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { SCRIPT_SHA, SCRIPT_TEXT } from './publish-script.ts';

it('is the file that docs/publish offers, with its SHA-1', () => {
  const file = new URL('../../../docs/publish/tradewind_publish_1.lua', import.meta.url);
  expect(SCRIPT_TEXT).toBe(readFileSync(file, 'utf8'));
  expect(createHash('sha1').update(SCRIPT_TEXT).digest('hex')).toBe(SCRIPT_SHA);
});
