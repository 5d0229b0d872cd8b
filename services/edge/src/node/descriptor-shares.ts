import {
  countOpenDescriptors,
  type DescriptorShares,
  divideDescriptors,
  MAX_ADMIN_CONNECTIONS,
  readDescriptorLimit,
} from '@tradewind/runtime';
import type { EdgeConfig } from '../config/edge-config.ts';
import type { NodeEvents } from '../telemetry/node-events.ts';

/**
 * Descriptors that are reserved for what must open at any load: listeners, two links to Redis while each is replaced,
 * Sentinels, name resolution, and a file now and then. A node that had just started had 5 of these open.
 */
const KEPT_BACK = 16;

/** Descriptors that a worker thread opens for itself: 7 were seen. */
const PER_WORKER_THREAD = 8;

/**
 * Divides the descriptors that the process may open among the connections of the node. Reports if they do not suffice for what
 * was configured. Call it once, before anything is opened.
 */
export function shareDescriptors(
  config: Pick<EdgeConfig, 'maxConnections' | 'httpMaxConnections' | 'workers'>,
  events: Pick<NodeEvents, 'descriptorsShort'>,
): DescriptorShares {
  const asked: DescriptorShares = {
    clients: config.maxConnections,
    plain: config.httpMaxConnections,
    admin: MAX_ADMIN_CONNECTIONS,
  };
  const limit = readDescriptorLimit();
  if (limit === undefined) return asked;
  const threads = config.workers === 1 ? 0 : config.workers;
  const free = limit - countOpenDescriptors() - KEPT_BACK - threads * PER_WORKER_THREAD;
  const given = divideDescriptors(free, asked);
  if (given !== asked) events.descriptorsShort(limit, asked, given);
  return given;
}
