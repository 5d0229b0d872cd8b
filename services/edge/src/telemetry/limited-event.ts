import type { LogLimiter, Metrics } from '@tradewind/runtime';
import type { Limited } from '../limits.ts';
import { EDGE_LIMITS, LIMITED_TOTAL } from './limit-table.ts';

/** The event that a limit was exceeded, with its counter and its log line. Each thread has one. */
export function limitedEvent(limited: LogLimiter, metrics: Metrics): Limited {
  const counter = metrics.counter({
    name: LIMITED_TOTAL,
    help: 'Times that a limit was exceeded, by limit (docs/limits.md), and whether something was refused for it (EDGE_LIMITS)',
    labelNames: ['limit', 'enforced'],
  });
  for (const [limit, { enforced, ...rest }] of Object.entries(EDGE_LIMITS)) {
    if ('countedBy' in rest) continue;
    counter.inc({ limit, enforced: 'true' }, 0);
    if (enforced === 'unless report') counter.inc({ limit, enforced: 'false' }, 0);
  }
  return (limit, isEnforced) => {
    counter.inc({ limit, enforced: String(isEnforced) });
    limited.warn(`limited_${limit}`, { limit, enforced: isEnforced });
  };
}
