import { startBenchRedis } from './bench-redis.ts';
import {
  type BusyPlan,
  type BusyResult,
  compareBusy,
  compareQuiet,
  type QuietPlan,
  type QuietResult,
} from './checks-cost.ts';
import { describeBusy, describeQuiet } from './checks-cost-text.ts';
import { SERVER_CORE } from './cores.ts';
import {
  describePublishing,
  measurePublishing,
  type PublishCostPlan,
  type PublishCostResult,
} from './publish-cost.ts';

/** All that nothing being lost costs while nothing is lost. */
export interface SafetyPlan {
  readonly publishing: PublishCostPlan;
  readonly busy: BusyPlan;
  readonly quiet: QuietPlan;
}

export interface SafetyResult {
  readonly publishing: PublishCostResult;
  readonly busy: BusyResult;
  readonly quiet: QuietResult;
}

/** @param redisUrl asked for the Redis that shares the load's core with the clients. */
export async function measureSafety(
  plan: SafetyPlan,
  redisUrl: () => Promise<string>,
  report: (line: string) => void,
): Promise<SafetyResult> {
  const publishing = await measureOnOwnCore(plan.publishing, report);
  const url = await redisUrl();
  const busy = await compareBusy(plan.busy, url, report);
  const quiet = await compareQuiet(plan.quiet, url, report);
  return { publishing, busy, quiet };
}

/** Here Redis is the server under test, and gone before an edge takes its core. */
async function measureOnOwnCore(
  plan: PublishCostPlan,
  report: (line: string) => void,
): Promise<PublishCostResult> {
  await using redis = await startBenchRedis(SERVER_CORE, report);
  return await measurePublishing(plan, redis.url, report);
}

/** The lines that a person reads. */
export function describeSafety({ publishing, busy, quiet }: SafetyResult): string {
  return [describeBusy(busy), describeQuiet(quiet), describePublishing(publishing)].join('\n\n\n');
}
