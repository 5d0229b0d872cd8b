import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { buildPage } from './page-builder.ts';

/** The most bytes of the page, compressed: what it costs an operator on a train. */
export const MAX_PAGE_GZIP_BYTES = 61_440;

/** A file of the page. */
export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
}

/** Returns the files of the page by their paths, ready to be sent. */
export async function loadPage(): Promise<ReadonlyMap<string, Asset>> {
  const { files } = await buildPage();
  const assets = await Promise.all(
    files.map(async ({ path, type, text }): Promise<[string, Asset]> => {
      return [path, await toAsset(type, Buffer.from(text))];
    }),
  );
  return new Map(assets);
}

async function toAsset(type: string, body: Buffer): Promise<Asset> {
  const gzipped = await promisify(gzip)(body, { level: 9 });
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { type, body, gzipped, etag };
}
