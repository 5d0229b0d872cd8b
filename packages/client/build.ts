import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { transform } from 'esbuild';
import { type Plugin, rolldown } from 'rolldown';
import { SHORTENED_NAMES } from './shortened-names.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, 'dist');

/** The entries of the package, and what each may take in a browser: bytes, minified, by gzip -9. */
const ENTRIES: Readonly<Record<string, number>> = {
  index: 13.25 * 1024,
  store: 1024,
  react: 1024,
  binary: 5 * 1024,
};

const OWN = /^\.\/(index|store)\.ts$/;

/** Entries that pages without a bundler import, minified. They import each other. */
const FOR_PAGES: readonly string[] = ['index', 'binary'];

/**
 * Writes the package as it is published to `dist/`, and returns what each entry takes in a browser. Only `react` is left
 * outside. Throws if an entry is larger than it may be, or if a type of the workspace would be missing.
 */
export async function buildPackage(out = OUT): Promise<Readonly<Record<string, number>>> {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const sizes: Record<string, number> = {};
  for (const [entry, limit] of Object.entries(ENTRIES)) {
    await writeFile(join(out, `${entry}.js`), await bundle(entry, false));
    const minified = await bundle(entry, true);
    if (FOR_PAGES.includes(entry)) await writeFile(join(out, `${entry}.min.js`), minified);
    const bytes = gzipSync(minified, { level: 9 }).length;
    if (bytes > limit) throw new Error(`${entry} takes ${bytes} bytes; it may take ${limit}`);
    sizes[entry] = bytes;
  }
  await checkNames(await writeTypes(out));
  for (const file of ['README.md', 'CHANGELOG.md'])
    await copyFile(join(HERE, file), join(out, file));
  await copyFile(join(HERE, '../../LICENSE'), join(out, 'LICENSE'));
  await writeFile(join(out, 'package.json'), await publishedManifest());
  return sizes;
}

const SHORTENED = new RegExp(`^(?:${SHORTENED_NAMES.join('|')})$`);

/** Shortens the names that no user of the package can know. */
const SHORTEN: Plugin = {
  name: 'shorten',
  renderChunk: async (code) =>
    (await transform(code, { mangleProps: SHORTENED, target: 'es2022', format: 'esm' })).code,
};

/** Throws if a name that would be shortened is one that others use. */
async function checkNames(types: readonly string[]): Promise<void> {
  const protocol = join(HERE, '../protocol/src');
  const files = [...types, ...WIRE.map((name) => join(protocol, name))];
  for (const file of files) {
    const text = await readFile(file, 'utf8');
    const names = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '').match(/\w+/g) ?? [];
    const both = names.find((name) => SHORTENED.test(name));
    if (both !== undefined) throw new Error(`${file}: ${both} must keep its name`);
  }
}

/** Files of the protocol that say what a frame has. */
const WIRE = ['server-message.ts', 'publication.ts', 'binary-decoder.ts'];

/** Bundles an entry with what it uses of the workspace, and returns the text. */
async function bundle(entry: string, minify: boolean): Promise<string> {
  const build = await rolldown({
    input: join(HERE, `src/${entry}.ts`),
    external: ['react'],
    plugins: [
      {
        name: 'own-entries',
        resolveId: (id) =>
          entry !== 'index' && OWN.test(id)
            ? { id: id.replace(OWN, minify ? './$1.min.js' : './$1.js'), external: true }
            : undefined,
      },
      SHORTEN,
    ],
    platform: 'neutral',
    tsconfig: false,
  });
  // The only ones are notes for bundlers, and a page has none.
  const { output } = await build.generate({ format: 'esm', minify, comments: !minify });
  await build.close();
  return output[0].code;
}

/** Writes the declarations that the entries reach, and returns their paths. */
async function writeTypes(out: string): Promise<readonly string[]> {
  const emitted = join(out, 'emitted');
  const all = join(emitted, 'packages/client/src');
  await promisify(execFile)(process.execPath, [
    ...[
      join(HERE, '../../node_modules/typescript/bin/tsc'),
      '--project',
      join(HERE, 'tsconfig.build.json'),
    ],
    ...['--outDir', emitted],
  ]).catch((error: { readonly stdout?: string }) => {
    throw new Error(`tsc: ${error.stdout}`);
  });
  const waiting = Object.keys(ENTRIES).map((entry) => `${entry}.d.ts`);
  const seen = new Set<string>();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const text = await readFile(join(all, name), 'utf8');
    if (text.includes("'@tradewind/"))
      throw new Error(`${name} needs a package that is not published`);
    const folder = dirname(name);
    for (const [, path] of text.matchAll(/from '(\.[^']+)\.ts'/g))
      waiting.push(join(folder, `${path}.d.ts`));
    await mkdir(join(out, folder), { recursive: true });
    const head = name === 'types.d.ts' ? '/// <reference lib="esnext.disposable" />\n' : '';
    await writeFile(join(out, name), head + text.replaceAll(/(from '\.[^']+)\.ts'/g, "$1.js'"));
  }
  for (const entry of FOR_PAGES)
    await writeFile(join(out, `${entry}.min.d.ts`), `export * from './${entry}.js';\n`);
  await rm(emitted, { recursive: true });
  return [...seen].map((name) => join(out, name));
}

async function publishedManifest(): Promise<string> {
  const {
    name,
    version,
    description,
    license,
    type,
    sideEffects,
    peerDependencies,
    peerDependenciesMeta,
  } = JSON.parse(await readFile(join(HERE, 'package.json'), 'utf8'));
  const exports = Object.fromEntries(
    Object.keys(ENTRIES).map((entry) => [
      entry === 'index' ? '.' : `./${entry}`,
      { types: `./${entry}.d.ts`, default: `./${entry}.js` },
    ]),
  );
  return `${JSON.stringify(
    {
      ...{ name, version, description, license, type, sideEffects },
      engines: { node: '>=20' },
      exports: {
        ...exports,
        ...Object.fromEntries(
          FOR_PAGES.map((entry) => [
            `./${entry}.min.js`,
            { types: `./${entry}.min.d.ts`, default: `./${entry}.min.js` },
          ]),
        ),
      },
      files: ['*.js', '**/*.d.ts', 'CHANGELOG.md'],
      ...{ peerDependencies, peerDependenciesMeta },
    },
    null,
    2,
  )}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [entry, bytes] of Object.entries(await buildPackage(process.argv[2]))) {
    console.log(`${entry.padEnd(6)} ${bytes} of ${ENTRIES[entry]} bytes, minified and by gzip`);
  }
  console.log('npm pack ./dist');
}
