import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { devNull } from 'node:os';

/** How connections share the descriptors that are free. */
export interface DescriptorShares {
  /** Connections that stay: WebSockets. */
  readonly clients: number;
  /** Connections to the public port that are no clients, or not yet. */
  readonly plain: number;
  /** Connections to the admin port. */
  readonly admin: number;
}

/** The part of too few descriptors that each kind of plain connection gets. */
const PART_FOR_PLAIN = 8;

/** What a health check, a scrape and a few handshakes need, however few there are. */
const LEAST_PLAIN = 4;

/** How often a watch looks, in ms: readiness must tell the truth within a second. */
const WATCH_INTERVAL_MS = 250;

/**
 * How many files this process may have open at once, sockets included, or undefined where the system
 * does not say. On Linux that is the soft limit; Node raises it to the hard one when it starts.
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

/** How many are open now; 0 where the system does not say. */
export function countOpenDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

/** What may be connected with `free` descriptors: what is wanted, or less of everything. */
export function divideDescriptors(free: number, wanted: DescriptorShares): DescriptorShares {
  if (wanted.clients + wanted.plain + wanted.admin <= free) return wanted;
  const part = Math.max(LEAST_PLAIN, Math.floor(free / PART_FOR_PLAIN));
  const plain = Math.min(wanted.plain, part);
  const admin = Math.min(wanted.admin, part);
  const clients = Math.min(wanted.clients, Math.max(1, free - plain - admin));
  return { clients, plain, admin };
}

/**
 * Looks whether the process, or the system, has run out of descriptors. Nothing else tells: libuv
 * accepts and closes what it has no descriptor for, without a word.
 */
export class DescriptorWatch {
  readonly #ranOut: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #exhausted = false;

  /** @param ranOut is told when a look finds none, and the look before found one. */
  constructor(ranOut: (error: Error) => void) {
    this.#ranOut = ranOut;
    this.#timer = setInterval(() => this.#look(), WATCH_INTERVAL_MS);
  }

  /** Whether the last look found no free descriptor. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    try {
      closeSync(openSync(devNull, 'r'));
      this.#exhausted = false;
    } catch (error) {
      if (!this.#exhausted) this.#ranOut(error as Error);
      this.#exhausted = true;
    }
  }
}
