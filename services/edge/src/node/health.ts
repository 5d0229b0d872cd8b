import type { HealthSource, Readiness } from '@tradewind/runtime';

/** What an edge's readiness depends on, at one moment. */
export interface EdgeCondition {
  readonly draining: boolean;
  /** Whether it holds the most connections that it may. */
  readonly full: boolean;
  /** Whether there is no descriptor left for a further connection. */
  readonly descriptorsExhausted: boolean;
  /** Whether it was ever linked to Redis since it started. */
  readonly everLinked: boolean;
  /** Whether its subscription link is down. */
  readonly degraded: boolean;
  /**
   * Since when the subscription link has been down although the other connection to Redis works, in ms of a monotonic
   * clock. Undefined if that is not so.
   */
  readonly isolatedSince: number | undefined;
  /** Whether a probe that it published has ever come back. True when it does not probe. */
  readonly provenOnce: boolean;
  /** Whether it ever had keys to verify tokens with. True where it asks for no tokens. */
  readonly hadKeys: boolean;
  /** Whether Redis refuses its probe until somebody acts. */
  readonly probeRefused: boolean;
}

/** A link that comes back within this time, in ms, is no reason to leave the balancer. */
export const LINK_GRACE_MS = 2_000;

/**
 * Whether a balancer should send clients to this edge. If Redis is away for all nodes, all stay ready and say
 * `degraded`: a shared outage must not empty the balancer. A node is not ready if it alone cannot subscribe although Redis
 * answers it. Nor is it ready before its first link, before data has proven its first subscription, or before it had keys for
 * tokens. A node whose probe is refused later stays ready and says so, because a change in Redis concerns all nodes.
 *
 * @param now ms of the same monotonic clock.
 */
export function judgeReadiness(condition: EdgeCondition, now: number): Readiness {
  const { degraded, isolatedSince, everLinked, provenOnce, probeRefused, hadKeys } = condition;
  const cutOffAlone = isolatedSince !== undefined && now - isolatedSince >= LINK_GRACE_MS;
  const reasons = [
    ...(condition.draining ? ['draining'] : []),
    ...(condition.full ? ['full'] : []),
    ...(condition.descriptorsExhausted ? ['descriptors_exhausted'] : []),
    ...(everLinked ? [] : ['not_linked_yet']),
    ...(cutOffAlone ? ['subscription_link_down'] : []),
    ...(hadKeys ? [] : ['no_keys_yet']),
    ...(everLinked && !provenOnce && !probeRefused ? ['not_proven_yet'] : []),
    ...(!provenOnce && probeRefused ? ['probe_refused'] : []),
  ];
  const ready = reasons.length === 0;
  const besides = [
    ...(provenOnce && probeRefused ? ['probe_refused'] : []),
    ...(degraded ? ['redis_unavailable'] : []),
  ];
  return { ready, degraded, reasons: [...reasons, ...besides] };
}

/** A health source that reads the condition each time it is asked. */
export function createHealth(condition: () => EdgeCondition): HealthSource {
  return { readiness: () => judgeReadiness(condition(), performance.now()) };
}
