/** What has a limit of its own: each connection, say, or all of a node together. */
export type LimitOwner = 'address' | 'channel' | 'connection' | 'node' | 'request' | 'token';

/** One limit of a service, as docs/limits.md lists it. */
export interface Limit<Config> {
  /** What is limited, with its unit. */
  readonly what: string;
  readonly per: LimitOwner;
  /** How much of it there may be, in words. */
  readonly amount: (config: Config) => string;
  /** The environment variables that set it; none if it is fixed. */
  readonly variables: readonly string[];
  /** What one is told beyond it: codes in backquotes, as docs/codes.md has them. */
  readonly told: string;
  /** The metric that counts what went beyond it, with its labels, where that is not the service's counter for limits. */
  readonly countedBy?: string;
  /** What bounds memory always holds; a rate or a budget can be tried without being enforced. */
  readonly enforced: 'always' | 'unless report';
}

/**
 * The rows of docs/limits.md.
 *
 * @param config with the defaults.
 * @param counter counts what went beyond a limit, by the label `limit`.
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
