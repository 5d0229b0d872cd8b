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

/** Numbers of more than one file: decisions are cited by number, so each must lead to one. */
const numbersUsedTwice = (files: readonly string[]): string[] => {
  const numbers = files.map((file) => file.slice(0, 4));
  return numbers.filter((number, at) => numbers.indexOf(number) !== at);
};

it('gives each number to one decision, which says it in its title', () => {
  const files = readdirSync(FOLDER).filter((name) => name !== 'README.md');
  expect(numbersUsedTwice(files)).toEqual([]);
  for (const file of files) {
    const title = `# ${Number(file.slice(0, 4))}. `;
    expect(readFileSync(join(FOLDER, file), 'utf8').slice(0, title.length), file).toBe(title);
  }
});

it('finds a number that two decisions have', () => {
  expect(numbersUsedTwice(['0050-one.md', '0051-two.md', '0050-three.md'])).toEqual(['0050']);
});
