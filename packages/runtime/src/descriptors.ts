import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { devNull } from 'node:os';

/** The number of connections of each kind that the free descriptors allow. */
export interface DescriptorShares {
  /** Connections of clients, which stay: WebSockets. */
  readonly clients: number;
  /** Connections to the public port that are no clients, or not yet. */
  readonly plain: number;
  /** Connections to the admin port. */
  readonly admin: number;
}

/** The share of each kind of plain connection when there are too few descriptors. */
const PART_FOR_PLAIN = 8;

/** The least for each kind: what a health check, a scrape and a few handshakes need. */
const LEAST_PLAIN = 4;

/** Time between two checks of a watch, in ms. Readiness must tell the truth within a second. */
const WATCH_INTERVAL_MS = 250;

/**
 * The number of files that this process may have open at once, sockets included. Undefined where the system does not
 * say. On Linux that is the soft limit, which Node raises to the hard one when it starts.
 */
export function readDescriptorLimit(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** The number of open files. 0 where the system does not say. */
export function countOpenDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

/** Divides `free` descriptors: what was configured, or less of every kind. */
export function divideDescriptors(free: number, wanted: DescriptorShares): DescriptorShares {
  if (wanted.clients + wanted.plain + wanted.admin <= free) return wanted;
  const part = Math.max(LEAST_PLAIN, Math.floor(free / PART_FOR_PLAIN));
  const plain = Math.min(wanted.plain, part);
  const admin = Math.min(wanted.admin, part);
  const clients = Math.min(wanted.clients, Math.max(1, free - plain - admin));
  return { clients, plain, admin };
}

/** The errors that say that the process, or the system, has no free descriptor. */
const EXHAUSTED = ['EMFILE', 'ENFILE'];

/**
 * Checks whether the process, or the system, has run out of descriptors. Nothing else tells: libuv accepts a
 * connection for which it has no descriptor and closes it silently.
 */
export class DescriptorWatch {
  readonly #ranOut: (error: Error) => void;
  readonly #file: string;
  readonly #timer: NodeJS.Timeout;
  #exhausted = false;

  /**
   * @param ranOut is called when a check finds no free descriptor and the check before found one.
   * @param file what a check opens. It may be missing, as in a root without devices: that says nothing of descriptors.
   */
  constructor(ranOut: (error: Error) => void, file = devNull) {
    this.#ranOut = ranOut;
    this.#file = file;
    this.#timer = setInterval(() => this.#look(), WATCH_INTERVAL_MS);
  }

  /** Whether the last check found no free descriptor. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    try {
      closeSync(openSync(this.#file, 'r'));
      this.#exhausted = false;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      const isExhausted = EXHAUSTED.includes(code);
      if (isExhausted && !this.#exhausted) this.#ranOut(error as Error);
      this.#exhausted = isExhausted;
    }
  }
}
