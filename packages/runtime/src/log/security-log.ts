import type { Rate } from '../token-bucket.ts';
import { LogLimiter } from './log-limiter.ts';
import type { Logger } from './logger.ts';

/**
 * Lines of each event of a security log that one thread writes. A line takes some µs and 300 bytes: 10,000 clients that come at
 * once cost 200 lines, and the next one tells how many it stands for.
 */
export const SECURITY_LOG_RATE: Rate = { perSecond: 20, burst: 200 };

/**
 * Lines that say who came, who left and who was turned away, each with the field `"log":"security"`. No event hides another in a
 * flood, since each has a rate of its own. Nothing that is given to it may hold a token, a key or a part of a payload.
 *
 * @param now a clock in ms that never goes back.
 */
export function createSecurityLog(logger: Logger, now?: () => number): LogLimiter {
  return new LogLimiter(logger.child({ log: 'security' }), SECURITY_LOG_RATE, now);
}
