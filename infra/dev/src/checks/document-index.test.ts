import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';

const FOLDER = join(WORKSPACE_ROOT, 'docs');

it('sorts every page of docs/ in docs/README.md', () => {
  const index = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  const pages = readdirSync(FOLDER).filter((name) => name.endsWith('.md') && name !== 'README.md');
  expect(pages.length).toBeGreaterThan(10);
  expect(pages.filter((page) => !index.includes(`](${page})`))).toEqual([]);
});
