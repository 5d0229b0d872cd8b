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
  /** From one look to the next. */
  readonly intervalMs: number;
  /** Looks in a row that must find it uneven: clients that just come and go are no reason. */
  readonly looks: number;
  /**
   * How long it is left alone after as many rounds as may be did not make it even: moving clients has
   * not helped then, and each further round would move them again.
   */
  readonly restMs: number;
}

/** What one look found. */
type Finding =
  | { readonly kind: 'even' }
  | { readonly kind: 'uneven'; readonly balance: Balance }
  /** It cannot be told, or is not to be acted on now. */
  | { readonly kind: 'unclear'; readonly why: string };

/**
 * Looks at a fleet again and again, and rebalances it when it stays uneven, as it is after a scale-out: a round,
 * another look, another round. It leaves a fleet alone in which a node drains, since whoever rolls it moves
 * the clients already. Whatever goes wrong is told, and looked at again. Resolves when `end` aborts, and not before.
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

/** A report that is silent while its line stays the same. */
function onChange(report: Report): Report {
  let last: string | undefined;
  return (line) => {
    if (line !== last) report(line);
    last = line;
  };
}
