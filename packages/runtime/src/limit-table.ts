/** What the limit applies to: each connection, say, or a whole node. */
export type LimitOwner =
  | 'address'
  | 'channel'
  | 'connection'
  | 'node'
  | 'request'
  | 'subject'
  | 'token';

/** One limit of a service, as docs/limits.md lists it. */
export interface Limit<Config> {
  /** What is limited, with its unit. */
  readonly what: string;
  readonly per: LimitOwner;
  /** The amount that is allowed, in words. */
  readonly amount: (config: Config) => string;
  /** The environment variables that set it. None if it is fixed. */
  readonly variables: readonly string[];
  /** What a peer that exceeds it is told: codes in backquotes, as docs/codes.md has them. */
  readonly told: string;
  /**
   * The metric that counts what exceeded it, with its labels. Undefined for the counter that the service has for all
   * limits.
   */
  readonly countedBy?: string;
  /**
   * Whether it is always enforced, as what bounds memory is. A rate or a budget can be tried without being enforced.
   */
  readonly enforced: 'always' | 'unless report';
}

/**
 * The rows of docs/limits.md.
 *
 * @param config the defaults.
 * @param counter counts what exceeded a limit, by the label `limit`.
 */
export function limitRows<Config>(
  limits: Readonly<Record<string, Limit<Config>>>,
  config: Config,
  counter: string,
): string[] {
  return Object.entries(limits).map(([name, limit]) => {
    const cells = [
      `\`${name}\``,
      limit.what,
      limit.per,
      limit.amount(config),
      limit.variables.map((variable) => `\`${variable}\``).join(', ') || 'fixed',
      limit.told,
      `\`${limit.countedBy ?? `${counter}{limit="${name}"}`}\``,
      limit.enforced === 'always' ? 'always' : 'unless `report`',
    ];
    return `| ${cells.join(' | ')} |`;
  });
}
