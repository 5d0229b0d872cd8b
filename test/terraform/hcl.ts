import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Required and not imported: its types bring the browser's, for the whole workspace.
const { parse } = createRequire(import.meta.url)('@cdktn/hcl2json') as {
  parse(name: string, text: string): Promise<Record<string, Named>>;
};

/** Where the Terraform code lies, with a slash at the end. */
export const TERRAFORM_ROOT = fileURLToPath(new URL('../../terraform/', import.meta.url));

/** A block's arguments and nested blocks. Nested blocks are lists; an expression is text in `${}`. */
export type HclBlock = Readonly<Record<string, unknown>>;

export interface HclResource {
  readonly type: string;
  readonly name: string;
  readonly body: HclBlock;
}

/** A directory of `*.tf` files. */
export interface HclModule {
  /** From {@link TERRAFORM_ROOT}; `.` for the root. */
  readonly path: string;
  readonly resources: readonly HclResource[];
  /** What is only read. */
  readonly data: readonly HclResource[];
  /** Calls of other modules, by their names. */
  readonly modules: Readonly<Record<string, HclBlock>>;
  readonly locals: HclBlock;
  readonly variables: Readonly<Record<string, HclBlock>>;
  readonly outputs: Readonly<Record<string, HclBlock>>;
  readonly providers: HclBlock;
  /** The files as they are written. */
  readonly texts: readonly string[];
}

/** Directories below {@link TERRAFORM_ROOT} that hold Terraform code, the root among them. */
export function modulePaths(): string[] {
  const folders = (group: string) =>
    readdirSync(join(TERRAFORM_ROOT, group)).map((name) => `${group}/${name}`);
  return ['.', ...folders('modules'), ...folders('examples')];
}

/** Reads a module. Throws when it is not HCL. */
export async function readModule(path: string): Promise<HclModule> {
  const folder = join(TERRAFORM_ROOT, path);
  const files = readdirSync(folder).filter((name) => name.endsWith('.tf'));
  const texts = files.map((name) => readFileSync(join(folder, name), 'utf8'));
  return await parseModule(path, texts);
}

/** {@link readModule} of files that are given as text. */
export async function parseModule(path: string, texts: readonly string[]): Promise<HclModule> {
  const parsed = await Promise.all(texts.map((text) => parse(path, text)));
  const all = (kind: string) =>
    Object.assign({}, ...parsed.map((file) => firstOf(file[kind] ?? {}))) as Record<
      string,
      HclBlock
    >;
  const typed = (kind: string): HclResource[] =>
    parsed.flatMap((file) =>
      Object.entries((file[kind] ?? {}) as unknown as Record<string, Named>).flatMap(
        ([type, named]) =>
          Object.entries(firstOf(named)).map(([name, body]) => ({ type, name, body })),
      ),
    );
  const terraform = parsed.flatMap((file) => (file.terraform ?? []) as unknown as HclBlock[]);
  const providers = Object.assign(
    {},
    ...terraform.flatMap((block) => block.required_providers ?? []),
  );
  return {
    path,
    texts,
    resources: typed('resource'),
    data: typed('data'),
    modules: all('module'),
    locals: Object.assign({}, ...parsed.flatMap((file) => (file.locals ?? []) as HclBlock[])),
    variables: all('variable'),
    outputs: all('output'),
    providers,
  };
}

type Named = Readonly<Record<string, readonly HclBlock[]>>;

function firstOf(named: Named): Record<string, HclBlock> {
  return Object.fromEntries(Object.entries(named).map(([name, blocks]) => [name, blocks[0] ?? {}]));
}

/** The nested blocks of that name, at any depth, `dynamic` ones among them. */
export function nestedBlocks(body: HclBlock, name: string): HclBlock[] {
  const entries = [...Object.entries(body), ...Object.entries(dynamicBlocks(body))];
  return entries.flatMap(([key, value]) => {
    if (!Array.isArray(value)) return [];
    const blocks = value.filter((entry): entry is HclBlock => isBlock(entry));
    return [
      ...(key === name ? blocks : []),
      ...blocks.flatMap((block) => nestedBlocks(block, name)),
    ];
  });
}

/** Of each `dynamic` block the contents, by its name. */
function dynamicBlocks({ dynamic }: HclBlock): Record<string, readonly unknown[]> {
  if (typeof dynamic !== 'object' || dynamic === null) return {};
  return Object.fromEntries(
    Object.entries(dynamic as Readonly<Record<string, readonly HclBlock[]>>).map(
      ([name, blocks]) => [name, blocks.flatMap(({ content }) => content)],
    ),
  );
}

function isBlock(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
