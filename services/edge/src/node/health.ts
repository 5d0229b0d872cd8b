import type { HealthSource, Readiness } from '@tradewind/runtime';

/** What an edge's readiness depends on, as of now. */
export interface EdgeCondition {
  readonly draining: boolean;
  /** Whether it holds as many connections as it may. */
  readonly full: boolean;
  /** Whether there is no descriptor left for a further connection. */
  readonly descriptorsExhausted: boolean;
  /** Whether it was ever linked to Redis since it started. */
  readonly everLinked: boolean;
  /** Whether its subscription link is down. */
  readonly degraded: boolean;
  /**
   * Since when its subscription link has been down while its other connection to Redis works, in ms
   * of a monotonic clock; undefined while that is not so.
   */
  readonly cutOffAloneSince: number | undefined;
  /** Whether what it publishes to itself has ever come back; true where it does not probe. */
  readonly provenOnce: boolean;
  /** Whether Redis refuses its probe for as long as nobody acts. */
  readonly probeRefused: boolean;
}

/** A link that comes back within this time was no reason to leave the balancer, in ms. */
export const LINK_GRACE_MS = 2_000;

/**
 * Whether a balancer should send clients to this edge. When Redis is away for everyone, all nodes
 * stay ready and say `degraded`: a shared outage must not empty the balancer. A node that alone
 * cannot subscribe while Redis answers it is not ready; nor is one that never could, or that has never
 * proven by data that it does. One that has, and whose probe is refused later on, stays ready and says so:
 * what is changed in Redis is changed for all nodes.
 *
 * @param now ms of the same monotonic clock.
 */
export function judgeReadiness(condition: EdgeCondition, now: number): Readiness {
  const { degraded, cutOffAloneSince, everLinked, provenOnce, probeRefused } = condition;
  const cutOffAlone = cutOffAloneSince !== undefined && now - cutOffAloneSince >= LINK_GRACE_MS;
  const reasons = [
    ...(condition.draining ? ['draining'] : []),
    ...(condition.full ? ['full'] : []),
    ...(condition.descriptorsExhausted ? ['descriptors_exhausted'] : []),
    ...(everLinked ? [] : ['not_linked_yet']),
    ...(cutOffAlone ? ['subscription_link_down'] : []),
    ...(everLinked && !provenOnce && !probeRefused ? ['not_proven_yet'] : []),
    ...(!provenOnce && probeRefused ? ['probe_refused'] : []),
  ];
  const ready = reasons.length === 0;
  const besides = [
    ...(provenOnce && probeRefused ? ['probe_refused'] : []),
    ...(degraded ? ['source_unreachable'] : []),
  ];
  return { ready, degraded, reasons: [...reasons, ...besides] };
}

/** A health source that judges the condition each time it is asked. */
export function createHealth(condition: () => EdgeCondition): HealthSource {
  return { readiness: () => judgeReadiness(condition(), performance.now()) };
}
