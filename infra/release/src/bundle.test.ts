import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { includeScripts, nameThreadFiles } from './bundle.ts';

it('lets a module find the thread that it starts beside the bundle', () => {
  const code = `new Worker(new URL('./worker-main.ts', import.meta.url), {`;
  expect(nameThreadFiles(code, ['main', 'worker-main'])).toBe(
    `new Worker(new URL('./worker-main.js', import.meta.url), {`,
  );
});

it('refuses a thread that nobody bundles', () => {
  const code = `new Worker(new URL('./other.ts', import.meta.url));`;
  expect(() => nameThreadFiles(code, ['main'])).toThrow('other.ts is started, but is not an entry');
});

it('refuses a thread whose file does not lie beside the module that starts it', () => {
  const code = `new Worker(new URL('../worker-main.ts', import.meta.url));`;
  expect(() => nameThreadFiles(code, ['main', 'worker-main'])).toThrow(
    '../worker-main.ts is started, but is not an entry',
  );
});

it('puts the text of a script where the module reads it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-bundle-'));
  try {
    await writeFile(join(folder, 'a.lua'), "return 'a'\n");
    const code = `const A = readFileSync(\n  new URL('./a.lua', import.meta.url),\n  'utf8',\n);`;
    expect(includeScripts(code, pathToFileURL(join(folder, 'module.ts')))).toBe(
      `const A = "return 'a'\\n";`,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
