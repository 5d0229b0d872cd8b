import { readFile, stat } from 'node:fs/promises';
import { type KeySet, readJwkSet, readSecret } from './key-set.ts';

/** Where the keys are. */
export interface KeyLocation {
  readonly kind: 'secret' | 'jwk-set';
  readonly path: string;
}

/** What a {@link KeyFile} reports. Nothing that it says holds a part of a key. */
export interface KeyFileEvents {
  /** The file has changed, and its keys count from now on. */
  keysRead(path: string): void;
  /** The file has changed, and has no usable keys. The keys of before go on. */
  keysUnreadable(path: string, cause: string): void;
}

/** The largest key file, in bytes: 64 RSA keys of 8,192 bits fit. */
const MAX_FILE_BYTES = 128 * 1024;

/** Time between two looks at the file, in ms. */
const POLL_INTERVAL_MS = 2_000;

/** A file of keys, which is read again when it changes. */
export class KeyFile {
  readonly #location: KeyLocation;
  readonly #events: KeyFileEvents;
  readonly #onChanged: Set<() => void> = new Set();
  #keys: KeySet;
  #version: string;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  private constructor(location: KeyLocation, events: KeyFileEvents, loaded: Loaded) {
    this.#location = location;
    this.#events = events;
    this.#keys = loaded.keys;
    this.#version = loaded.version;
  }

  /**
   * Reads the file and watches it until {@link stop}. The caller owns the result.
   *
   * @param pollMs time between two looks.
   * @throws Error that says why there are no usable keys.
   */
  static async open(
    location: KeyLocation,
    events: KeyFileEvents,
    pollMs = POLL_INTERVAL_MS,
  ): Promise<KeyFile> {
    const file = new KeyFile(location, events, await load(location));
    file.#watch(pollMs);
    return file;
  }

  get keys(): KeySet {
    return this.#keys;
  }

  /** Calls the listener after each change of the keys. */
  onChanged(listener: () => void): void {
    this.#onChanged.add(listener);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #watch(pollMs: number): void {
    this.#timer = setTimeout(async () => {
      await this.#look();
      if (!this.#isStopped) this.#watch(pollMs);
    }, pollMs);
  }

  async #look(): Promise<void> {
    const { path } = this.#location;
    let version = 'unreadable';
    try {
      version = await versionOf(path);
      if (version === this.#version) return;
      const loaded = await load(this.#location);
      if (this.#isStopped) return;
      this.#version = loaded.version;
      this.#keys = loaded.keys;
      this.#events.keysRead(path);
      for (const listener of this.#onChanged) listener();
    } catch (error) {
      // It is told once, not at every look.
      if (this.#isStopped || version === this.#version) return;
      this.#version = version;
      this.#events.keysUnreadable(path, (error as Error).message);
    }
  }
}

interface Loaded {
  readonly keys: KeySet;
  readonly version: string;
}

async function load({ kind, path }: KeyLocation): Promise<Loaded> {
  const version = await versionOf(path);
  const content = await readFile(path);
  return { version, keys: kind === 'secret' ? await readSecret(content) : readJwkSet(content) };
}

/** Changes with the file. A link that leads elsewhere is another file, as with secrets that are mounted. */
async function versionOf(path: string): Promise<string> {
  const { mtimeMs, ino, size } = await stat(path);
  if (size > MAX_FILE_BYTES)
    throw new Error(`a key file must have at most ${MAX_FILE_BYTES} bytes`);
  return `${ino} ${mtimeMs} ${size}`;
}
