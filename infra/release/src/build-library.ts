import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { rolldown } from 'rolldown';

/** What is published beside the code. */
const DOCUMENTS = ['README.md', 'CHANGELOG.md'];

/** How long the compiler may take, in ms, also on a busy machine. */
const COMPILE_DEADLINE_MS = 120_000;

/** What is read of a library's `package.json`. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/**
 * Builds a package that others install, a library or a program, and makes its `dist` a package of its own, which `npm pack ./dist`
 * packs. The workspace's `package.json` names the sources, because Node runs them as written; the published one names what was built.
 *
 * A library is compiled file by file, with types. A program (`bin`) becomes one file, with what it imports of the workspace in it.
 *
 * @param folder the package's folder, from the root of the workspace.
 * @param out where it is put; what was there is removed.
 */
export async function buildLibrary(
  folder: string,
  out = join(WORKSPACE_ROOT, folder, 'dist'),
): Promise<void> {
  const source = join(WORKSPACE_ROOT, folder);
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as Manifest;
  if (manifest.bin === undefined) await compile(source, out);
  else
    for (const path of Object.values(manifest.bin))
      await bundle(source, path, installedOf(manifest), out);
  const published = `${JSON.stringify(publishedManifest(manifest), undefined, 2)}\n`;
  await writeFile(join(out, 'package.json'), published);
  for (const name of DOCUMENTS) await cp(join(source, name), join(out, name));
  await cp(join(WORKSPACE_ROOT, 'LICENSE'), join(out, 'LICENSE'));
}

/** The `package.json` that is published, made of the workspace's. */
export function publishedManifest(manifest: Manifest): Record<string, unknown> {
  const { private: _, scripts, devDependencies, bin, dependencies, exports, ...rest } = manifest;
  const installed = installedOf(manifest).map((name) => [name, `^${dependencies![name]}`] as const);
  const entry = builtName(exports);
  return {
    ...rest,
    ...(bin === undefined
      ? { exports: { '.': { types: entry.replace(/js$/, 'd.ts'), default: entry } } }
      : {
          bin: Object.fromEntries(
            Object.entries(bin).map(([name, path]) => [name, builtName(path)]),
          ),
        }),
    ...(installed.length === 0 ? {} : { dependencies: Object.fromEntries(installed) }),
    files: ['*.js', '*.d.ts', 'CHANGELOG.md'],
  };
}

async function compile(source: string, out: string): Promise<void> {
  const compiler = join(WORKSPACE_ROOT, 'node_modules', '.bin', 'tsc');
  await promisify(execFile)(
    compiler,
    ['-p', join(source, 'tsconfig.build.json'), '--outDir', out],
    { timeout: COMPILE_DEADLINE_MS },
  ).catch((error: Error & { stdout?: string }) => {
    throw new Error(`${source} does not compile: ${error.stdout || error.message}`);
  });
}

/** What a user installs with it; what is of the workspace is in the bundle. */
function installedOf({ dependencies = {} }: Manifest): readonly string[] {
  return Object.keys(dependencies).filter((name) => !dependencies[name]!.startsWith('workspace:'));
}

async function bundle(
  source: string,
  path: string,
  installed: readonly string[],
  out: string,
): Promise<void> {
  const build = await rolldown({
    cwd: source,
    input: path,
    platform: 'node',
    external: [...installed],
    transform: { target: 'node22' },
    onLog(_level, log) {
      throw new Error(`bundling ${path}: ${log.message}`);
    },
  });
  try {
    await build.write({ file: join(out, builtName(path)), format: 'esm' });
  } finally {
    await build.close();
  }
}

/** Where a source stands once it is built. */
function builtName(path: string): string {
  return path.replace('./src/', './').replace(/\.ts$/, '.js');
}
