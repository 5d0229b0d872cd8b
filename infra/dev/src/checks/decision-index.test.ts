import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';

const FOLDER = join(WORKSPACE_ROOT, 'docs/adr');

it('lists every decision in docs/adr/README.md once, under its number', () => {
  const files = readdirSync(FOLDER).filter((name) => name !== 'README.md');
  const index = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  const links = [...index.matchAll(/\[(\d+)\]\(([^)]+)\)/g)].map(([, number, file]) => ({
    number,
    file,
  }));
  expect(links.map(({ file }) => file).toSorted()).toEqual(files.toSorted());
  for (const { number, file } of links) expect(Number(file?.slice(0, 4))).toBe(Number(number));
});
