/** A service that is released, and what of its source is started by name. */
export interface ReleasedService {
  readonly name: 'edge' | 'ingest';
  /** Modules of `services/<name>/src` that become files of `app/`, without their extension. */
  readonly entries: readonly string[];
}

/** One tarball each. */
export const RELEASED_SERVICES: readonly ReleasedService[] = [
  { name: 'edge', entries: ['main', 'worker-main'] },
  { name: 'ingest', entries: ['main', 'replay-main'] },
];
