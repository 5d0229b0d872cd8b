import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { build } from 'esbuild';

/** The most bytes of the page, compressed: what it costs an operator on a train. */
export const MAX_PAGE_GZIP_BYTES = 61_440;

/** A file of the page. */
export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
}

const PAGE = fileURLToPath(new URL('../../page/', import.meta.url));

/**
 * Builds the page: one document, one script, one style sheet. There is no build step before; a start takes some 100 ms for it.
 *
 * @returns the assets by their paths.
 */
export async function buildPage(): Promise<ReadonlyMap<string, Asset>> {
  const { outputFiles } = await build({
    entryPoints: [`${PAGE}main.tsx`],
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
  if (script === undefined) throw new Error('the page has no script');
  const charts = createRequire(import.meta.url).resolve('uplot/dist/uPlot.min.css');
  const [html, chartStyle, style] = await Promise.all([
    readFile(`${PAGE}index.html`),
    readFile(charts, 'utf8'),
    readFile(`${PAGE}style.css`, 'utf8'),
  ]);
  return new Map([
    ['/', await toAsset('text/html; charset=utf-8', html)],
    ['/page.js', await toAsset('text/javascript; charset=utf-8', Buffer.from(script.contents))],
    ['/page.css', await toAsset('text/css; charset=utf-8', Buffer.from(chartStyle + style))],
  ]);
}

async function toAsset(type: string, body: Buffer): Promise<Asset> {
  const gzipped = await promisify(gzip)(body, { level: 9 });
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { type, body, gzipped, etag };
}
