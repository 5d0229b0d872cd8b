import type { Logger, Metrics, UnknownVariable } from '@tradewind/runtime';

/** What came of an attempt to log in. */
export type LoginOutcome = 'accepted' | 'wrong' | 'too_many';

const LOGIN_OUTCOMES: readonly LoginOutcome[] = ['accepted', 'wrong', 'too_many'];

/** An action that an operator asked for. */
export interface OperatorAction {
  readonly kind: 'drain' | 'shed' | 'disconnect';
  /** Whom it was about: a node or a subject, and how many clients within how many seconds. */
  readonly node?: string;
  readonly subject?: string;
  readonly count?: number;
  readonly overSeconds?: number;
}

const ACTIONS: readonly OperatorAction['kind'][] = ['drain', 'shed', 'disconnect'];

/** The events of the console. Each has its counter, where it counts, and its log line. */
export interface ConsoleEvents {
  /** A variable looks like a setting and is none. */
  unknownVariable(variable: UnknownVariable): void;
  redisAvailable(): void;
  redisUnavailable(cause: string): void;
  /** Redis is still unavailable, for a cause that was not reported before. */
  redisStillUnavailable(cause: string): void;
  /** The VM's token for Redis could not be renewed; the one before is good for `leftMs`. */
  redisTokenNotRenewed(cause: string, leftMs: number): void;
  /** An operator tried to log in from an address. */
  loginDone(outcome: LoginOutcome, address: string | undefined): void;
  /** A page was closed because the login that opened it has ended. */
  sessionEnded(): void;
  actionDone(
    action: OperatorAction,
    result: { readonly done: boolean; readonly message: string },
    address: string | undefined,
  ): void;
}

/** Registers the console's counters. */
export function createEvents(logger: Logger, metrics: Metrics, redis: string): ConsoleEvents {
  const outages = metrics.counter({
    name: 'tradewind_console_redis_outages_total',
    help: 'Times that the link to Redis was lost',
  });
  const logins = metrics.labelledCounter(
    'tradewind_console_logins_total',
    'Attempts of operators to log in, by outcome: accepted, a wrong token, or too many of them',
    'outcome',
    LOGIN_OUTCOMES,
  );
  const ended = metrics.counter({
    name: 'tradewind_console_sessions_ended_total',
    help: 'Pages that were closed because the login that opened them had ended',
  });
  const actions = metrics.counter({
    name: 'tradewind_console_actions_total',
    help: 'Actions that operators asked for, by action, and whether they were done',
    labelNames: ['action', 'done'],
  });
  for (const action of ACTIONS) {
    for (const done of ['true', 'false']) actions.inc({ action, done }, 0);
  }
  return {
    unknownVariable: ({ name, nearest }) =>
      logger.warn({ variable: name, nearest }, 'unknown_setting'),
    redisAvailable: () => logger.info({ redis }, 'redis_available'),
    redisUnavailable(cause) {
      outages.inc();
      logger.warn({ cause, redis }, 'redis_unavailable');
    },
    redisStillUnavailable: (cause) => logger.warn({ cause }, 'redis_still_unavailable'),
    redisTokenNotRenewed: (cause, leftMs) =>
      logger.warn({ cause, leftMs }, 'redis_token_not_renewed'),
    loginDone(outcome, address) {
      logins.inc({ outcome });
      if (outcome === 'accepted') logger.info({ address }, 'operator_logged_in');
      else logger.warn({ address, reason: outcome }, 'operator_refused');
    },
    sessionEnded() {
      ended.inc();
      logger.info('operator_session_ended');
    },
    actionDone(action, result, address) {
      actions.inc({ action: action.kind, done: String(result.done) });
      logger.info({ ...action, ...result, address }, 'operator_action');
    },
  };
}

/** What the gauges read when the metrics are printed. */
export interface GaugeSources {
  /** Whether Redis answers. */
  isBlind(): boolean;
  nodes(): Readonly<Record<'edge' | 'ingest', number>>;
  pages(): number;
}

/** Registers the console's gauges. */
export function registerGauges(metrics: Metrics, sources: GaugeSources): void {
  metrics.gauge({
    name: 'tradewind_console_redis_available',
    help: 'Whether Redis tells the console what nodes say of themselves: 1 or 0',
    collect() {
      this.set(sources.isBlind() ? 0 : 1);
    },
  });
  metrics.gauge({
    name: 'tradewind_console_nodes',
    help: 'Nodes that it remembers, by kind, those that fell silent within ten minutes included',
    labelNames: ['kind'],
    collect() {
      for (const [kind, count] of Object.entries(sources.nodes())) this.set({ kind }, count);
    },
  });
  metrics.gauge({
    name: 'tradewind_console_pages',
    help: 'Pages that are open',
    collect() {
      this.set(sources.pages());
    },
  });
}
