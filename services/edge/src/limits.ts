/** The rates and budgets of an edge, by their names in metrics and logs. `EDGE_LIMITS=report` counts excess without refusing it. */
export type RateLimitName =
  | 'requests'
  | 'errors'
  | 'mentions'
  | 'replay'
  | 'address_handshakes'
  | 'address_channels'
  | 'subject_requests'
  | 'subject_replay'
  | 'node_subscribes'
  | 'history_reads';

/** The limits that bound memory. They are always enforced. */
export type MemoryLimitName =
  | 'connections'
  | 'unidentified'
  | 'http_connections'
  | 'admin_connections'
  | 'address_connections'
  | 'address_http_connections'
  | 'subject_connections'
  | 'message_bytes'
  | 'pongs'
  | 'client_channels'
  | 'node_channels'
  | 'queue'
  | 'unread'
  | 'revocations';

/** The name of any limit of an edge. `telemetry/limit-table.ts` says what each allows. */
export type LimitName = RateLimitName | MemoryLimitName;

/** Counts and logs that a limit was exceeded. `isEnforced` says whether the excess was refused. */
export type Limited = (limit: LimitName, isEnforced: boolean) => void;

/** Reports excess of limits, and decides whether it must be refused. */
export class LimitGuard {
  readonly #enforcesRates: boolean;
  readonly #limited: Limited;

  /** @param enforcesRates `EDGE_LIMITS`. If it is false, excess of a rate or a budget is only reported. */
  constructor(enforcesRates: boolean, limited: Limited) {
    this.#enforcesRates = enforcesRates;
    this.#limited = limited;
  }

  /** Reports a refusal by a limit that bounds memory. */
  isFull(limit: MemoryLimitName): void {
    this.#limited(limit, true);
  }

  /** Reports excess of a rate or a budget. Returns whether the excess must be refused. */
  refuses(limit: RateLimitName): boolean {
    this.#limited(limit, this.#enforcesRates);
    return this.#enforcesRates;
  }
}
