import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { RELEASE } from './release.ts';

it('names the version of the repository', () => {
  const manifest = new URL('../../../../package.json', import.meta.url);
  expect(JSON.parse(readFileSync(manifest, 'utf8')).version).toBe(RELEASE);
});
