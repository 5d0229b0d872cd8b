/**
 * What a fan-out worker counts where a call per delivery would cost too much. Plain numbers that
 * only grow; the metrics read them when they are asked.
 */
export interface FanOutStatistics {
  /** Subscribers that delivery loops visited: 500 for one publication to 500. */
  broadcastIterations: number;
  /** Channels looked up in the subscription index. */
  indexLookups: number;
  /** Publications queued for a client. */
  deliveries: number;
  /** Publications that a client's full queue refused. */
  refusals: number;
  /** Refused publications that were queued after all, from the publication log. */
  caughtUp: number;
  /** Bytes by which binary publications were shorter than text ones would have been, over all clients whose queues took them. References, which cost some of it, are not counted. */
  savedBytes: number;
  /** Publications that subscriptions to the latest were not sent, because a newer one came within the interval. */
  skipped: number;
}

export function createFanOutStatistics(): FanOutStatistics {
  return {
    broadcastIterations: 0,
    indexLookups: 0,
    deliveries: 0,
    refusals: 0,
    caughtUp: 0,
    savedBytes: 0,
    skipped: 0,
  };
}
