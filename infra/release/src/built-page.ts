import { pathToFileURL } from 'node:url';
import type { Plugin } from 'rolldown';
import type { ReleasedService } from './services.ts';

/** What a service's builder of pages returns, as far as a release goes by it. */
interface BuiltPage {
  readonly modules: readonly string[];
}

/** A page that was built for a release. */
export interface ReleasedPage {
  /** Puts the page in the place of what builds it. */
  readonly plugin: Plugin;
  /** Absolute paths of what it was made of. */
  readonly modules: readonly string[];
}

/**
 * Builds a service's page, so that its release needs no builder. Returns undefined for a service without a page.
 *
 * @param root the workspace's folder, absolute; nothing of it shows in the result.
 */
export async function buildPage(
  root: string,
  service: ReleasedService,
): Promise<ReleasedPage | undefined> {
  if (service.pageBuilder === undefined) return undefined;
  const path = `${root}/services/${service.name}/src/${service.pageBuilder}`;
  const builder = (await import(pathToFileURL(path).href)) as {
    readonly buildPage: () => Promise<BuiltPage>;
  };
  const built = await builder.buildPage();
  return {
    modules: built.modules,
    plugin: {
      name: 'built-page',
      load: (id) => (id === path ? moduleOf({ ...built, modules: [] }) : undefined),
    },
  };
}

/** A module whose `buildPage` has nothing left to do. */
function moduleOf(page: BuiltPage): string {
  return `const PAGE = ${JSON.stringify(page)};\nexport async function buildPage() {\n  return PAGE;\n}\n`;
}
