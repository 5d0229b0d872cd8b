import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminClient } from './admin-client.ts';
import type { Fleet } from './fleet.ts';
import {
  type Balance,
  describeBalance,
  isEven,
  type RebalanceSettings,
  readBalance,
  shedOnce,
} from './rebalance.ts';
import type { Report } from './report.ts';

/** When a watched fleet is rebalanced. Times in ms. */
export interface WatchSettings {
  /** The interval between two looks. */
  readonly intervalMs: number;
  /** Looks in a row that must find it uneven, because clients always come and go. */
  readonly looks: number;
  /**
   * How long a fleet is left alone after the last allowed round did not make it even. Moving clients has not helped
   * then, and each further round would move them again.
   */
  readonly restMs: number;
}

/** The result of one look. */
type Finding =
  | { readonly kind: 'even' }
  | { readonly kind: 'uneven'; readonly balance: Balance }
  /** The balance is unknown, or must not be acted on now. */
  | { readonly kind: 'unclear'; readonly why: string };

/**
 * Looks at a fleet repeatedly, and rebalances it if it stays uneven, as after a scale-out: a round, another look,
 * another round. It leaves a fleet alone while a node drains, because a roll moves the clients already. It reports
 * every error and looks again. Resolves after `end` aborts, and not before.
 */
export async function watchFleet(
  fleet: Fleet,
  admin: AdminClient,
  rebalance: RebalanceSettings,
  { intervalMs, looks, restMs }: WatchSettings,
  report: Report,
  end: AbortSignal,
): Promise<void> {
  const say = onChange(report);
  let uneven = 0;
  let rounds = 0;
  while (!end.aborted) {
    const finding = await look(fleet, admin, rebalance);
    say(describe(finding));
    uneven = finding.kind === 'uneven' ? uneven + 1 : 0;
    if (finding.kind === 'even') rounds = 0;
    let pauseMs = intervalMs;
    if (finding.kind === 'uneven' && uneven >= looks) {
      if (rounds >= rebalance.maxRounds) {
        const list = describeBalance(finding.balance);
        report(
          `still uneven after ${rounds} rounds (${list}); left alone for ${restMs / 1_000} s. ` +
            'Does the balancer send clients to nodes with fewer?',
        );
        rounds = 0;
        uneven = 0;
        pauseMs = restMs;
      } else {
        rounds += 1;
        report(describeBalance(finding.balance));
        await shedOnce(finding.balance, admin, rebalance, report, end).catch((error) => {
          if (!end.aborted) report((error as Error).message);
        });
      }
    }
    await sleep(pauseMs, undefined, { signal: end }).catch(() => undefined);
  }
}

async function look(
  fleet: Fleet,
  admin: AdminClient,
  rebalance: RebalanceSettings,
): Promise<Finding> {
  try {
    const balance = await readBalance(fleet, admin);
    const { draining, connections } = balance;
    if (draining.length > 0) return { kind: 'unclear', why: `${draining.join(', ')} drains` };
    return isEven(connections, rebalance) ? { kind: 'even' } : { kind: 'uneven', balance };
  } catch (error) {
    return { kind: 'unclear', why: (error as Error).message };
  }
}

function describe(finding: Finding): string {
  return finding.kind === 'unclear' ? `no telling: ${finding.why}` : finding.kind;
}

/** A report that skips a line equal to the last one. */
function onChange(report: Report): Report {
  let last: string | undefined;
  return (line) => {
    if (line !== last) report(line);
    last = line;
  };
}
