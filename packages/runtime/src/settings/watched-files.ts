import { readFile, stat } from 'node:fs/promises';

/** Time between two looks at the files, in ms. */
const POLL_INTERVAL_MS = 2_000;

/** The largest file, in bytes. Certificates with all that issued them, and lists of tokens, are smaller. */
const MAX_FILE_BYTES = 1024 * 1024;

/** How {@link WatchedFiles} turns files into a value, and whom it tells. */
export interface WatchedFilesOptions<Value> {
  /** The files that belong together. */
  readonly paths: readonly string[];
  /**
   * Makes the value of the files' contents, which are in the order of `paths`.
   *
   * @throws Error that says what is wrong. Its message must not hold a part of a secret.
   */
  readonly parse: (contents: readonly Buffer[]) => Value | Promise<Value>;
  /** The files have changed, and the new value counts. */
  readonly changed: (value: Value) => void;
  /** The files have changed and are not usable. The previous value stays in use. Called once for each change. */
  readonly unusable: (cause: string) => void;
  /** Time between two looks, in ms; {@link POLL_INTERVAL_MS} by default. */
  readonly pollMs?: number;
}

/**
 * Files that are read again when they change, as one value. Files that are written one after the other are read when none of them
 * has changed for one interval, so that a certificate does not meet the key of another one.
 */
export class WatchedFiles<Value> {
  readonly #options: WatchedFilesOptions<Value>;
  #value: Value;
  /** The state of the files that was handled last, and the one that was seen last. */
  #handled: string;
  #seen: string;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  private constructor(options: WatchedFilesOptions<Value>, value: Value, version: string) {
    this.#options = options;
    this.#value = value;
    this.#handled = version;
    this.#seen = version;
  }

  /**
   * Reads the files and watches them until {@link stop}. The caller owns the result.
   *
   * @throws Error that says why they are not usable.
   */
  static async open<Value>(options: WatchedFilesOptions<Value>): Promise<WatchedFiles<Value>> {
    const version = await versionOf(options.paths);
    const files = new WatchedFiles(options, await load(options), version);
    files.#watch();
    return files;
  }

  /** The latest usable value. */
  get value(): Value {
    return this.#value;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #watch(): void {
    this.#timer = setTimeout(async () => {
      await this.#look();
      if (!this.#isStopped) this.#watch();
    }, this.#options.pollMs ?? POLL_INTERVAL_MS);
  }

  async #look(): Promise<void> {
    const { paths, changed, unusable } = this.#options;
    let version: string;
    try {
      version = await versionOf(paths);
    } catch (error) {
      version = `unreadable: ${(error as Error).message}`;
    }
    const isSettled = version === this.#seen;
    this.#seen = version;
    if (!isSettled || version === this.#handled || this.#isStopped) return;
    this.#handled = version;
    try {
      const value = await load(this.#options);
      if (this.#isStopped) return;
      this.#value = value;
      changed(value);
    } catch (error) {
      if (!this.#isStopped) unusable((error as Error).message);
    }
  }
}

async function load<Value>({ paths, parse }: WatchedFilesOptions<Value>): Promise<Value> {
  return await parse(await Promise.all(paths.map((path) => readFile(path))));
}

/** Changes with each of the files. A link that leads elsewhere is another file, as with secrets that are mounted. */
async function versionOf(paths: readonly string[]): Promise<string> {
  const versions = await Promise.all(
    paths.map(async (path) => {
      const { mtimeMs, ino, size } = await stat(path);
      if (size > MAX_FILE_BYTES) throw new Error(`${path} has more than ${MAX_FILE_BYTES} bytes`);
      return `${ino} ${mtimeMs} ${size}`;
    }),
  );
  return versions.join(', ');
}
