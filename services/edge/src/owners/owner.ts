import { type Rate, TokenBucket } from '@tradewind/runtime';

/**
 * What all connections of one owner share, by name. `handshakes`: connections and handshakes. `refusals`: handshakes beyond
 * that which are told so. `requests`: requests. `channels`: channels that the worker did not hold. `replay`: bytes of
 * publications of the past.
 */
export type BudgetName = 'handshakes' | 'refusals' | 'requests' | 'channels' | 'replay';

/**
 * The rate of refusals that one owner is told on one worker. Connections beyond it are reset unread. So a client that meets its
 * limit learns why, and each connection of a flood costs no more than an accept.
 */
export const TOLD_REFUSALS: Rate = { perSecond: 10, burst: 20 };

/** What one owner may have and do on one worker. */
export interface OwnerLimits {
  /** Open WebSockets. */
  readonly connections: number;
  /** Open connections that are no WebSockets, or not yet. */
  readonly plain: number;
  /** Open WebSockets whose clients have not said who they are; by default as many as WebSockets. */
  readonly unidentified?: number;
  /** A budget without a rate has no limit. */
  readonly rates: Partial<Readonly<Record<BudgetName, Rate>>>;
}

/** An address or a subject, and what its connections on one worker have together. */
export class Owner {
  /** The network of an address (see `networkOf`), or a subject. */
  readonly key: string;
  connections = 0;
  plain = 0;
  /** Of its {@link connections}, those whose clients must still say who they are. */
  unidentified = 0;
  readonly #limits: OwnerLimits;
  /** The budgets that were needed so far. The others are full. */
  readonly #budgets: Partial<Record<BudgetName, TokenBucket>> = {};

  constructor(key: string, limits: OwnerLimits) {
    this.key = key;
    this.#limits = limits;
  }

  /** Whether something of the owner is open. */
  get isHeld(): boolean {
    return this.connections + this.plain > 0;
  }

  /** Whether it has the most WebSockets that it may have. */
  get isFull(): boolean {
    return this.connections >= this.#limits.connections;
  }

  /** Whether it has the most connections that are no WebSockets that it may have. */
  get isFullOfPlain(): boolean {
    return this.plain >= this.#limits.plain;
  }

  /** Whether it has the most clients that may have not said who they are. */
  get isFullOfUnidentified(): boolean {
    return this.unidentified >= (this.#limits.unidentified ?? this.#limits.connections);
  }

  /**
   * Takes `count` from a budget, if the budget holds as much. Returns whether it did.
   *
   * @param now ms on the monotonic clock.
   */
  take(name: BudgetName, now: number, count = 1): boolean {
    return this.#budget(name, now)?.take(now, count) ?? true;
  }

  /** Charges a budget for what was spent already; see `TokenBucket.charge`. */
  charge(name: BudgetName, now: number, count: number): void {
    this.#budget(name, now)?.charge(now, count);
  }

  /** Time from the last call until a budget holds `count`, in whole ms. 0 if it does. */
  waitMs(name: BudgetName, count = 1): number {
    return this.#budgets[name]?.waitMs(count) ?? 0;
  }

  #budget(name: BudgetName, now: number): TokenBucket | undefined {
    const rate = this.#limits.rates[name];
    if (rate === undefined) return undefined;
    this.#budgets[name] ??= new TokenBucket(rate, now);
    return this.#budgets[name];
  }
}
