import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';
import { buildPage } from './built-page.ts';
import type { ReleasedService } from './services.ts';

/** One file of `app/`. */
export interface BundledFile {
  readonly name: string;
  readonly code: string;
}

export interface Bundle {
  /** In the order of their names. */
  readonly files: readonly BundledFile[];
  /** Absolute paths of all modules that went into them. */
  readonly modules: readonly string[];
}

/**
 * Optional native helpers of `ws`. Node 24 does the work of one of them, and the other only unmasks what clients send.
 */
const LEFT_OUT = ['bufferutil', 'utf-8-validate'];
const DEFINITIONS = {
  'process.env.WS_NO_BUFFER_UTIL': '"1"',
  'process.env.WS_NO_UTF_8_VALIDATE': '"1"',
  // Some packages are CommonJS and read their own path; the bundle is an ECMAScript module.
  __dirname: 'import.meta.dirname',
};

/** How a module names another that it does not import: the file of a thread that it starts. */
const THREAD_FILE = /(new URL\(\s*['"])(\.{1,2}\/[^'"]+)\.ts(['"],\s*import\.meta\.url\s*,?\s*\))/g;

/** How a module reads a script. */
const SCRIPT_FILE =
  /readFileSync\(\s*new URL\(\s*['"](\.{1,2}\/[^'"]+\.lua)['"],\s*import\.meta\.url\s*,?\s*\),\s*['"]utf8['"]\s*,?\s*\)/g;

/**
 * Bundles a service and all that it imports into a few files that Node runs as they are. What is
 * started by file name, `main` and the code of threads, keeps its name and lies side by side.
 *
 * @param root the workspace's folder, absolute; nothing of it shows in the result.
 * @param release what the service says that it is, in its log, its metrics and by `--version`.
 * @throws Error when a module starts a thread whose file is not among the service's entries.
 */
export async function bundleService(
  root: string,
  service: ReleasedService,
  release: string,
): Promise<Bundle> {
  const page = await buildPage(root, service);
  const build = await rolldown({
    cwd: root,
    input: Object.fromEntries(
      service.entries.map((entry) => [entry, `services/${service.name}/src/${entry}.ts`]),
    ),
    platform: 'node',
    external: LEFT_OUT,
    transform: {
      target: 'node24',
      define: { ...DEFINITIONS, TRADEWIND_RELEASE: JSON.stringify(release) },
    },
    plugins: [namedFiles(service.entries), ...(page === undefined ? [] : [page.plugin])],
    onLog(_level, log) {
      throw new Error(`bundling ${service.name}: ${log.message}`);
    },
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      comments: { legal: true, annotation: false, jsdoc: false },
      entryFileNames: '[name].js',
      chunkFileNames: 'shared-[hash].js',
    });
    const chunks = output.filter((file) => file.type === 'chunk');
    const files = chunks.map(({ fileName, code }) => ({ name: fileName, code }));
    files.sort((a, b) => (a.name < b.name ? -1 : 1));
    const modules = [...chunks.flatMap(({ moduleIds }) => moduleIds), ...(page?.modules ?? [])];
    return { files, modules: modules.sort() };
  } finally {
    await build.close();
  }
}

/** Renames the threads that modules start to their names in `app/`, and includes the text of scripts. */
function namedFiles(entries: readonly string[]): Plugin {
  return {
    name: 'named-files',
    transform(code, id) {
      if (!/\.ts$/.test(id) || !code.includes('import.meta.url')) return;
      return { code: nameThreadFiles(includeScripts(code, pathToFileURL(id)), entries), map: null };
    },
  };
}

/** Replaces each reading of a script by its text, because a bundle lies in another folder than its sources. */
export function includeScripts(code: string, module: URL): string {
  return code.replace(SCRIPT_FILE, (_all, path: string) =>
    JSON.stringify(readFileSync(new URL(path, module), 'utf8')),
  );
}

/** @throws Error if a file is named that is not one of `entries`, or that does not lie beside the module. */
export function nameThreadFiles(code: string, entries: readonly string[]): string {
  return code.replace(THREAD_FILE, (_all, before: string, path: string, after: string) => {
    const name = path.replace(/^\.\//, '');
    if (!entries.includes(name)) throw new Error(`${path}.ts is started, but is not an entry`);
    return `${before}./${name}.js${after}`;
  });
}
