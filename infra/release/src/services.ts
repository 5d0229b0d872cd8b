/** A service that is released, and what of its source is started by name. */
export interface ReleasedService {
  readonly name: 'edge' | 'ingest' | 'console';
  /** Modules of `services/<name>/src` that become files of `app/`, without their extension. */
  readonly entries: readonly string[];
  /** Packages with native code, which it is released with as they are installed. */
  readonly native: readonly NativePackage[];
  /**
   * The module of `services/<name>/src` whose `buildPage` makes the page that browsers load. It runs when the release is made, and the
   * release has its result in its place.
   */
  readonly pageBuilder?: string;
}

/** As much of a package as a program needs. */
export interface NativePackage {
  readonly name: string;
  /** Whether it is for one processor: `x64` in its name and files becomes that of the release. */
  readonly isForProcessor?: boolean;
  /** The package that it is a dependency of, if that is not the service. */
  readonly of?: string;
  readonly files: readonly string[];
  /** Files that hold the licences of what was compiled into it. */
  readonly licences?: readonly string[];
}

/** Calls functions of the C library; see docs/adr/0033. */
const KOFFI: readonly NativePackage[] = [
  {
    name: 'koffi',
    files: ['package.json', 'index.cjs', 'src/koffi/index.cjs', 'src/koffi/src/static.cjs'],
    licences: ['vendor/node-addon-api/LICENSE.md'],
  },
  {
    name: '@koromix/koffi-linux-x64',
    isForProcessor: true,
    of: 'koffi',
    files: ['package.json', 'index.js', 'linux_x64/koffi.node'],
  },
];

/** One tarball each. */
export const RELEASED_SERVICES: readonly ReleasedService[] = [
  { name: 'edge', entries: ['main', 'worker-main'], native: KOFFI },
  { name: 'ingest', entries: ['main', 'replay-main'], native: [] },
  { name: 'console', entries: ['main'], native: [], pageBuilder: 'http/page-builder.ts' },
];
