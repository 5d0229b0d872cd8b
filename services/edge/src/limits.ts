/** The rates and budgets of an edge, as metric and log name them: they can be tried without being enforced. */
export type RateLimitName =
  | 'requests'
  | 'errors'
  | 'mentions'
  | 'replay'
  | 'node_subscribes'
  | 'history_reads';

/** The limits that hold memory, which are always enforced. */
export type MemoryLimitName =
  | 'connections'
  | 'http_connections'
  | 'admin_connections'
  | 'message_bytes'
  | 'pongs'
  | 'client_channels'
  | 'node_channels'
  | 'queue'
  | 'unread';

/** Every limit of an edge; `telemetry/limit-table.ts` says of each what it allows. */
export type LimitName = RateLimitName | MemoryLimitName;

/** Told of each thing that went beyond a limit, and whether it was refused for that. */
export type Limited = (limit: LimitName, isEnforced: boolean) => void;

/** What notices that something goes beyond a limit tells this. */
export class LimitGuard {
  readonly #enforcesRates: boolean;
  readonly #limited: Limited;

  /** @param enforcesRates `EDGE_LIMITS`: otherwise what goes beyond a rate or a budget is only told of. */
  constructor(enforcesRates: boolean, limited: Limited) {
    this.#enforcesRates = enforcesRates;
    this.#limited = limited;
  }

  /** Something is refused since as much is held as may be. */
  isFull(limit: MemoryLimitName): void {
    this.#limited(limit, true);
  }

  /** Something goes beyond a rate or a budget. Returns whether it must be refused. */
  refuses(limit: RateLimitName): boolean {
    this.#limited(limit, this.#enforcesRates);
    return this.#enforcesRates;
  }
}
