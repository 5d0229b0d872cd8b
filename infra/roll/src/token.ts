import { readFileSync } from 'node:fs';
import type { Gcloud } from './gcloud.ts';

/** The place of the admin ports' bearer token. */
export type TokenSource =
  | { readonly kind: 'none' }
  | { readonly kind: 'variable'; readonly text: string }
  /** One token a file, the newest first. */
  | { readonly kind: 'file'; readonly paths: readonly string[] }
  /** A secret in Secret Manager, in gcloud's own project if none is given. */
  | { readonly kind: 'secret'; readonly name: string; readonly project: string | undefined };

/** An edge reads its token from this variable. */
export const TOKEN_VARIABLE = 'ADMIN_TOKEN';

/** A token that a header can carry. */
const WORD = /^[\x21-\x7e]+$/;

/**
 * The current version and the previous one, which a node accepts if it was not rolled since the last change. One change
 * is rolled out at a time.
 */
const VERSIONS_IN_USE = 2;

/**
 * Reads the tokens that nodes may accept, the newest first; empty if admin ports require none. A node learns a new
 * token only by being replaced, so the previous token is in use until the roll has ended.
 * Rejects if a token is missing, empty or not one word. No header can carry such a token, and the error of the request
 * would show it.
 */
export async function readTokens(source: TokenSource, gcloud: Gcloud): Promise<readonly string[]> {
  const tokens = (await textsOf(source, gcloud)).map((text) => text.trim());
  if (tokens.includes('')) throw new Error(`a token of the admin ports is empty (${source.kind})`);
  if (!tokens.every((token) => WORD.test(token))) {
    throw new Error(`a token of the admin ports is not one word of ASCII (${source.kind})`);
  }
  return tokens;
}

async function textsOf(source: TokenSource, gcloud: Gcloud): Promise<readonly string[]> {
  switch (source.kind) {
    case 'none':
      return [];
    case 'variable':
      return [source.text];
    case 'file':
      return source.paths.map((path) => readFileSync(path, 'utf8'));
    case 'secret':
      return await readVersions(source, gcloud);
  }
}

async function readVersions(
  { name, project }: Extract<TokenSource, { kind: 'secret' }>,
  gcloud: Gcloud,
): Promise<readonly string[]> {
  const ofSecret = [`--secret=${name}`, ...(project === undefined ? [] : [`--project=${project}`])];
  const [, ...inProject] = ofSecret;
  const listed = await gcloud([
    ...['secrets', 'versions', 'list', name, ...inProject, '--filter=state=enabled'],
    ...['--sort-by=~createTime', `--limit=${VERSIONS_IN_USE}`, '--format=value(name.basename())'],
  ]);
  const versions = listed.split(/\s+/).filter((version) => version !== '');
  if (versions.length === 0) throw new Error(`the secret ${name} has no enabled version`);
  const access = ['secrets', 'versions', 'access'];
  return await Promise.all(versions.map((version) => gcloud([...access, version, ...ofSecret])));
}
