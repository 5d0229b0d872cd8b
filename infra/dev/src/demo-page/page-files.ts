import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** A file of the page, as it is served. */
export interface PageFile {
  readonly path: string;
  /** Its media type. */
  readonly type: string;
  readonly text: string;
}

const PAGE = fileURLToPath(new URL('../../page/', import.meta.url));

/** Builds the page with the SDK in it: one document, one script, one style sheet. It takes some 100 ms. */
export async function buildPage(): Promise<readonly PageFile[]> {
  const { outputFiles } = await build({
    absWorkingDir: PAGE,
    entryPoints: ['main.tsx'],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'silent',
  });
  const [script] = outputFiles;
  if (script === undefined) throw new Error('the demo’s page has no script');
  const [html, style] = await Promise.all([
    readFile(`${PAGE}index.html`, 'utf8'),
    readFile(`${PAGE}style.css`, 'utf8'),
  ]);
  return [
    { path: '/', type: 'text/html; charset=utf-8', text: html },
    { path: '/page.js', type: 'text/javascript; charset=utf-8', text: script.text },
    { path: '/page.css', type: 'text/css; charset=utf-8', text: style },
  ];
}
