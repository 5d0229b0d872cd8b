import { readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ReleasePlatform } from './platforms.ts';
import type { NativePackage, ReleasedService } from './services.ts';
import type { TarballFile } from './tarball.ts';

/** The parts of a service's release besides its bundle. */
export interface NativeParts {
  /** In `app/node_modules`, where the bundle finds them. */
  readonly files: readonly TarballFile[];
  /** Absolute paths, as those of bundled modules: for their licences. */
  readonly modules: readonly string[];
  /** Further licences, in full. */
  readonly licences: readonly string[];
}

/**
 * The packages with native code of a service, as they are installed in the workspace, or fetched for the platform.
 *
 * @param root the workspace's folder, absolute.
 * @throws Error when a package or one of its files is not installed.
 */
export async function readNativePackages(
  root: string,
  service: ReleasedService,
  platform: ReleasePlatform,
): Promise<NativeParts> {
  const files: TarballFile[] = [];
  const modules: string[] = [];
  const licences: string[] = [];
  for (const native of service.native) {
    const one = forProcessor(native, platform);
    const folder = platform.packages.get(one.name) ?? (await folderOf(root, service, one));
    for (const file of one.files) {
      const path = join(folder, file);
      const contents = await readFile(path);
      files.push({ path: `app/node_modules/${one.name}/${file}`, contents, isExecutable: false });
      modules.push(path);
    }
    for (const file of one.licences ?? []) {
      const text = await readFile(join(folder, file), 'utf8');
      licences.push(`${one.name} holds work under this licence (${file}):\n\n${text.trim()}\n`);
    }
  }
  return { files, modules, licences };
}

function forProcessor(one: NativePackage, { processor }: ReleasePlatform): NativePackage {
  if (one.isForProcessor !== true) return one;
  const adapt = (text: string): string => text.replaceAll('x64', processor);
  return { ...one, name: adapt(one.name), files: one.files.map(adapt) };
}

/** pnpm installs the dependencies of a package beside it. */
async function folderOf(
  root: string,
  service: ReleasedService,
  one: NativePackage,
): Promise<string> {
  const own = join(root, 'services', service.name, 'node_modules');
  if (one.of === undefined) return await realpath(join(own, one.name));
  return await realpath(join(dirname(await realpath(join(own, one.of))), one.name));
}
