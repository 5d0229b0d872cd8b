import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { runbookPage } from './runbook-page.ts';
import { RUNBOOK_PATH } from './runbook-path.ts';

/** A file of the page, as it is served. */
export interface PageFile {
  readonly path: string;
  /** Its media type. */
  readonly type: string;
  readonly text: string;
}

/** The page, and what it is made of. */
export interface BuiltPage {
  readonly files: readonly PageFile[];
  /** Absolute paths of all modules and style sheets that went into it: for their licences. */
  readonly modules: readonly string[];
}

const PAGE = fileURLToPath(new URL('../../page/', import.meta.url));
const RUNBOOK = new URL('../../../../docs/runbook.md', import.meta.url);

/**
 * Builds the page: one document, one script, one style sheet, and the runbook beside them. In the repository the console does this when it starts, which takes some
 * 100 ms. A release has the result in the place of this module, because it holds neither the page's sources nor esbuild.
 */
export async function buildPage(): Promise<BuiltPage> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: PAGE,
    entryPoints: ['main.tsx'],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'silent',
  });
  const [script] = outputFiles;
  if (script === undefined) throw new Error('the page has no script');
  const charts = createRequire(import.meta.url).resolve('uplot/dist/uPlot.min.css');
  const [html, chartStyle, style, runbook] = await Promise.all([
    readFile(`${PAGE}index.html`, 'utf8'),
    readFile(charts, 'utf8'),
    readFile(`${PAGE}style.css`, 'utf8'),
    readFile(RUNBOOK, 'utf8'),
  ]);
  const modules = Object.keys(metafile.inputs).map((path) => resolve(PAGE, path));
  return {
    files: [
      { path: '/', type: 'text/html; charset=utf-8', text: html },
      { path: '/page.js', type: 'text/javascript; charset=utf-8', text: script.text },
      { path: '/page.css', type: 'text/css; charset=utf-8', text: chartStyle + style },
      { path: RUNBOOK_PATH, type: 'text/html; charset=utf-8', text: runbookPage(runbook) },
    ],
    modules: [...modules, charts],
  };
}
