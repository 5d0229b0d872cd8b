import { createRandom } from '../../../test/support/suite/random.ts';

/**
 * Which channels a connection subscribes to. `all`: all of them; `single`: the first one, as every connection;
 * `random`: some, chosen for each connection.
 */
export const SUBSCRIPTION_MODES = ['all', 'single', 'random'] as const;
export type SubscriptionMode = (typeof SUBSCRIPTION_MODES)[number];

export interface SubscriptionPlan {
  readonly mode: SubscriptionMode;
  /** The number of channels; they are numbered from 0. */
  readonly channels: number;
  /** For `random`: how many distinct channels each connection subscribes to, at most all. */
  readonly channelsPerClient: number;
  readonly seed: number;
}

/** Returns the numbers of the channels of a connection. The same plan and connection give the same ones. */
export function channelsOf(plan: SubscriptionPlan, connection: number): readonly number[] {
  if (plan.mode === 'all') return Array.from({ length: plan.channels }, (_, i) => i);
  if (plan.mode === 'single') return [0];
  const random = createRandom(plan.seed + Math.imul(connection, 0x9e3779b1));
  const wanted = Math.min(plan.channelsPerClient, plan.channels);
  const chosen = new Set<number>();
  // Floyd's sampling: one draw a channel, even if nearly all are chosen.
  for (let last = plan.channels - wanted; last < plan.channels; last += 1) {
    const drawn = random.below(last + 1);
    chosen.add(chosen.has(drawn) ? last : drawn);
  }
  return [...chosen];
}

/** How a connection reads: as fast as it can, slowly, or not at all after a while. */
export type Reading = 'steady' | 'slow' | 'stalled';

/** Shares of all connections, from 0 to 1, at most 1 together; the others read steadily. */
export interface ReadingShares {
  readonly slow: number;
  readonly stalled: number;
}

/** Returns how a connection reads. Slow and stalled ones are spread evenly over all. */
export function readingOf(shares: ReadingShares, connection: number): Reading {
  const weak = shares.slow + shares.stalled;
  if (!isChosen(connection, weak)) return 'steady';
  const weakOne = Math.floor(connection * weak);
  return isChosen(weakOne, shares.stalled / weak) ? 'stalled' : 'slow';
}

function isChosen(index: number, share: number): boolean {
  return Math.floor((index + 1) * share) > Math.floor(index * share);
}
