import { WatchedFiles } from '@tradewind/runtime';
import { type KeySet, readJwkSet, readSecret } from './key-set.ts';

/** Where the keys are. */
export interface KeyLocation {
  readonly kind: 'secret' | 'jwk-set';
  readonly path: string;
}

/** What a {@link KeyFile} reports. No report holds a part of a key. */
export interface KeyFileEvents {
  /** The file has changed, and its keys are in force from now on. */
  keysRead(path: string): void;
  /** The file has changed, and has no usable keys. The previous keys stay in force. */
  keysUnreadable(path: string, cause: string): void;
}

/** A file of keys, which is read again when it changes. */
export class KeyFile {
  readonly #onChanged: Set<() => void>;
  readonly #file: WatchedFiles<KeySet>;

  private constructor(file: WatchedFiles<KeySet>, onChanged: Set<() => void>) {
    this.#file = file;
    this.#onChanged = onChanged;
  }

  /**
   * Reads the file and watches it until {@link stop}. The caller owns the result.
   *
   * @param pollMs time between two looks; that of {@link WatchedFiles} by default.
   * @throws Error that says why there are no usable keys.
   */
  static async open(
    { kind, path }: KeyLocation,
    events: KeyFileEvents,
    pollMs?: number,
  ): Promise<KeyFile> {
    const onChanged = new Set<() => void>();
    const file = await WatchedFiles.open<KeySet>({
      paths: [path],
      parse: ([bytes = Buffer.alloc(0)]) =>
        kind === 'secret' ? readSecret(bytes) : readJwkSet(bytes),
      changed() {
        events.keysRead(path);
        for (const listener of onChanged) listener();
      },
      unusable: (cause) => events.keysUnreadable(path, cause),
      ...(pollMs === undefined ? {} : { pollMs }),
    });
    return new KeyFile(file, onChanged);
  }

  /** The keys that are in force. */
  get keys(): KeySet {
    return this.#file.value;
  }

  /** Calls the listener after each change of the keys. */
  onChanged(listener: () => void): void {
    this.#onChanged.add(listener);
  }

  /** Ends the watch of the file. */
  stop(): void {
    this.#file.stop();
  }
}
