/** The direction of bytes: to the side that connected, or to the side that was connected to. */
export type Direction = 'to-client' | 'to-server';

/** A connection through the proxy, with the fields that a fault needs. */
export interface ProxiedLink {
  /** From 1, in the order of connecting. */
  readonly number: number;
  /** Its name by CLIENT SETNAME; undefined before, and if frames are not read. */
  readonly name: string | undefined;
}

/** The connections that a fault affects. It is evaluated for every frame, because names arrive late. */
export type LinkFilter = (link: ProxiedLink) => boolean;

/** A fault that lasts until it is lifted. */
export interface Weather {
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
  /** Nothing arrives while sockets stay open; everything arrives after the fault is lifted. */
  readonly blackhole?: boolean;
  /** Both ways by default. */
  readonly direction?: Direction;
}

/** A command on its way to Redis. */
export type CommandFilter = (words: readonly string[]) => boolean;

/** A published message on its way to a subscriber. */
export type MessageFilter = (message: PublishedMessage) => boolean;

export interface PublishedMessage {
  readonly channel: string;
  readonly payload: string;
}

/** A fault that happens a limited number of times. */
export interface Trap extends Disposable {
  /** Resolves after it has happened as often as requested. Rejects if it is lifted earlier. */
  readonly sprung: Promise<void>;
  /** How often it has happened. */
  readonly count: number;
}

export interface TrapOptions {
  /** All links by default. */
  readonly links?: LinkFilter;
  /** The number of the first match that is affected, from 1; default 1. */
  readonly nth?: number;
  /** The number of matches affected in a row, from the n-th; default 1. `Infinity`: until it is lifted. */
  readonly times?: number;
}

/** Chooses the links with a role of an edge or ingest, of one node or of all. The links name themselves by it. */
export function linksOf(role: 'subscriber' | 'commands', node?: string): LinkFilter {
  const end = node === undefined ? `-${role}` : `-${node}-${role}`;
  return ({ name }) => name?.endsWith(end) === true;
}

export const EVERY_LINK: LinkFilter = () => true;

/** A trap's effect: what happens to the matching frame. */
export type Snare =
  | { readonly kind: 'swallow-message'; readonly matches: MessageFilter }
  | { readonly kind: 'cut-message'; readonly matches: MessageFilter }
  | {
      readonly kind: 'swallow-command';
      readonly matches: CommandFilter;
      readonly answer: Buffer | undefined;
    }
  | { readonly kind: 'drop-reply'; readonly matches: CommandFilter };

/** A fault that waits for what it affects. */
export class ArmedTrap implements Trap {
  readonly snare: Snare;
  readonly links: LinkFilter;
  readonly sprung: Promise<void>;
  count = 0;
  readonly #nth: number;
  readonly #times: number;
  readonly #settle: { resolve(): void; reject(error: Error): void };
  readonly #remove: () => void;
  #seen = 0;

  constructor(snare: Snare, options: TrapOptions, remove: () => void) {
    this.snare = snare;
    this.links = options.links ?? EVERY_LINK;
    this.#nth = options.nth ?? 1;
    this.#times = options.times ?? 1;
    this.#remove = remove;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Not every test waits for it.
    promise.catch(() => {});
    this.sprung = promise;
    this.#settle = { resolve, reject };
  }

  /** Counts one match; returns whether it must be affected. */
  step(): boolean {
    this.#seen += 1;
    if (this.#seen < this.#nth) return false;
    this.count += 1;
    if (this.count === this.#times) {
      this.#remove();
      this.#settle.resolve();
    }
    return true;
  }

  [Symbol.dispose](): void {
    this.#remove();
    this.#settle.reject(new Error(`the fault happened ${this.count} times only`));
  }
}
