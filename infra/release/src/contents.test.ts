import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { OPERATORS_FILES } from './contents.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Files of the repository that a text names: what to look at in `infra/`, and pages of `docs/` that it links to. */
function filesNamedBy(text: string): string[] {
  const infra = text.match(/(?<=[`(/])infra\/[\w/.-]+\.\w+/g) ?? [];
  const pages = [...text.matchAll(/\]\(([\w-]+\.md)(?:#[\w-]+)?\)/g)];
  return [...infra, ...pages.map(([, page]) => `docs/${page}`)];
}

it.each(['docs/runbook.md', 'docs/migration.md'])(
  'has each file that %s sends an operator to',
  async (page) => {
    const named = new Set(filesNamedBy(await readFile(`${ROOT}/${page}`, 'utf8')));
    // Plans, which are made before there is a release to unpack.
    named.delete('docs/sizing.md');
    expect(named.size).toBeGreaterThan(1);
    expect([...named].filter((file) => !OPERATORS_FILES.includes(file))).toEqual([]);
  },
);
