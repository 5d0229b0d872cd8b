import type { Welcome } from '@tradewind/protocol';
import type { Wire } from './document-client-surroundings.ts';

/** The client's knowledge of one channel. */
export interface Channel {
  readonly name: string;
  /** The number of latest publications to begin with. */
  readonly history: number | undefined;
  /** Whether the application wants it. */
  isWanted: boolean;
  epoch: string | undefined;
  offset: number | undefined;
  isHeld: boolean;
  /** Requested, and not answered yet. */
  isAsked: boolean;
  /** Whether the request had a `since`. */
  askedSince: boolean;
  /** It was rejected, and its wait is not over. */
  isWaiting: boolean;
}

/** A connection from its opening to its end. */
export interface Session {
  readonly wire: Wire;
  welcome: Welcome | undefined;
  /** Requests without their last answer: their channels by their ids, or that it is a token. */
  readonly requests: Map<unknown, readonly Channel[] | 'token'>;
  /** Whether a token was sent on it. */
  sentToken: boolean;
  /** Whether a token was accepted on it. */
  isIdentified: boolean;
  /** Ends the wait that detects silence. */
  endSilence: () => void;
}

const FIRST_BOUND_MS = 1_000;
const LARGEST_BOUND_MS = 30_000;

/** Waits that grow. */
export class Waits {
  #boundMs = FIRST_BOUND_MS;

  /** @param leastMs the bound of the next wait, if it is more than that of a first one. */
  reset(leastMs = 0): void {
    this.#boundMs = Math.max(FIRST_BOUND_MS, leastMs);
  }

  next(random: number): number {
    const ms = random * this.#boundMs;
    this.#boundMs = Math.min(LARGEST_BOUND_MS, 2 * this.#boundMs);
    return ms;
  }
}
