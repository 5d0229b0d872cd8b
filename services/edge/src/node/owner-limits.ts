import { dividedRate, type Rate, widerRate } from '@tradewind/runtime';
import {
  ADDRESS_PLAIN_SHARE,
  type EdgeConfig,
  LEAST_OWNERS,
  unidentifiedOfWorker,
} from '../config/edge-config.ts';
import { type OwnerLimits, TOLD_REFUSALS } from '../owners/owner.ts';

/** The least number of connections other than clients, and of unidentified clients, that one address may have on each worker. */
const LEAST_PLAIN = 4;

/** What one address may have and do on one worker. The kernel spreads its connections over the workers. */
export function addressLimits(config: EdgeConfig): OwnerLimits {
  const { addressMaxConnections, addressHandshakeRate, httpMaxConnections, workers } = config;
  const plain = Math.ceil((httpMaxConnections * ADDRESS_PLAIN_SHARE) / workers);
  return {
    connections: Math.ceil(addressMaxConnections / workers),
    plain: Math.max(LEAST_PLAIN, plain),
    unidentified: Math.max(
      LEAST_PLAIN,
      Math.ceil(unidentifiedOfWorker(config) * ADDRESS_PLAIN_SHARE),
    ),
    rates: {
      handshakes: dividedRate(addressHandshakeRate, workers),
      refusals: TOLD_REFUSALS,
      ...sharesOfRedis(config),
    },
  };
}

/** What one subject may have and do on one worker. */
export function subjectLimits(config: EdgeConfig): OwnerLimits {
  const { subjectMaxConnections, subjectRequestRate, requestRate, workers } = config;
  return {
    connections: Math.ceil(subjectMaxConnections / workers),
    plain: 0,
    rates: {
      requests: widerRate(requestRate, dividedRate(subjectRequestRate, workers)),
      ...sharesOfRedis(config),
    },
  };
}

/**
 * One owner's share of what the node may ask of Redis, on one worker. It is not narrower than the limit of one connection.
 * Otherwise a connection would be refused what its own limit allows.
 */
function sharesOfRedis(config: EdgeConfig): Readonly<Record<'channels' | 'replay', Rate>> {
  const { subscribeRate, nodeSubscribeRate, replayRate, historyReadRate, workers } = config;
  const shares = workers * LEAST_OWNERS;
  return {
    channels: widerRate(subscribeRate, dividedRate(nodeSubscribeRate, shares)),
    replay: widerRate(replayRate, dividedRate(historyReadRate, shares)),
  };
}
