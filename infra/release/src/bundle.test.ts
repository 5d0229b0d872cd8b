import { expect, it } from 'vitest';
import { nameThreadFiles } from './bundle.ts';

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
