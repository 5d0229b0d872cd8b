import { readFileSync } from 'node:fs';
import type { Gcloud } from './gcloud.ts';

/** Where the bearer token of the admin ports is. */
export type TokenSource =
  | { readonly kind: 'none' }
  | { readonly kind: 'variable'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string }
  /** The latest version of a secret in Secret Manager; without a project, in gcloud's own. */
  | { readonly kind: 'secret'; readonly name: string; readonly project: string | undefined };

/** The variable that an edge reads its own from. */
export const TOKEN_VARIABLE = 'ADMIN_TOKEN';

/** Reads the token; undefined where there is none. Rejects when it is not where it should be, or empty. */
export async function readToken(source: TokenSource, gcloud: Gcloud): Promise<string | undefined> {
  if (source.kind === 'none') return undefined;
  const token = (await textOf(source, gcloud)).trim();
  if (token === '') throw new Error(`the token of the admin ports is empty (${source.kind})`);
  return token;
}

async function textOf(
  source: Exclude<TokenSource, { readonly kind: 'none' }>,
  gcloud: Gcloud,
): Promise<string> {
  switch (source.kind) {
    case 'variable':
      return source.text;
    case 'file':
      return readFileSync(source.path, 'utf8');
    case 'secret': {
      const project = source.project === undefined ? [] : [`--project=${source.project}`];
      return await gcloud([
        ...['secrets', 'versions', 'access', 'latest', `--secret=${source.name}`],
        ...project,
      ]);
    }
  }
}
