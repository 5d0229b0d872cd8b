import type { NodeEvent } from '@tradewind/bus';
import { LAG_BOUNDS_MS, MAX_NODE_EVENTS } from '@tradewind/bus';
import type { ChannelRates } from './channel-rates.ts';
import type { ClientListenerEvents } from './client-events.ts';
import type { NodeEvents, ReceivedTally } from './node-events.ts';

/** The longest detail of an event, in characters. */
const MAX_DETAIL_CHARACTERS = 128;

/** What the main thread of a node has counted since its start. */
export interface NodeTally extends ReceivedTally {
  lost: number;
  repaired: number;
  linkLosses: number;
  workersLost: number;
}

/** What a fan-out worker has counted since its start. */
export interface ClientTally {
  closedSlow: number;
  gaps: number;
  /** Samples of the time until the sockets had a publication: for each of `LAG_BOUNDS_MS`, and above the last. */
  readonly lag: number[];
}

/** A tally that has counted nothing. The caller owns it. */
export function createNodeTally(): NodeTally {
  return { received: 0, receivedBytes: 0, lost: 0, repaired: 0, linkLosses: 0, workersLost: 0 };
}

/** A tally that has counted nothing. The caller owns it. */
export function createClientTally(): ClientTally {
  const lag = Array.from({ length: LAG_BOUNDS_MS.length + 1 }, () => 0);
  return { closedSlow: 0, gaps: 0, lag };
}

/** The last events of a node. */
export class RecentEvents {
  readonly #events: NodeEvent[] = [];
  #count = 0;
  #changed = false;

  /** The number of events since the start. */
  get count(): number {
    return this.#count;
  }

  /** Adds an event, and drops the oldest one beyond `MAX_NODE_EVENTS`. */
  add(event: string, detail: string): void {
    this.#events.push({ at: Date.now(), event, detail: detail.slice(0, MAX_DETAIL_CHARACTERS) });
    if (this.#events.length > MAX_NODE_EVENTS) this.#events.shift();
    this.#count += 1;
    this.#changed = true;
  }

  /** The last events, if one came since the last call; otherwise undefined. The caller owns the array. */
  takeIfChanged(): readonly NodeEvent[] | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return [...this.#events];
  }

  /** Makes the next call of {@link takeIfChanged} return the events again, because they were not written. */
  notWritten(): void {
    this.#changed = true;
  }
}

/** Extends the events of a node's main thread: they also count and remember what the console shows. */
export function withTally(
  events: Omit<NodeEvents, 'received'>,
  tally: NodeTally,
  recent: RecentEvents,
  rates: ChannelRates,
): NodeEvents {
  return {
    ...events,
    received(channel, bytes) {
      tally.received += 1;
      tally.receivedBytes += bytes;
      if (rates.isCounting) rates.count(channel);
    },
    lost(channel, count, reason) {
      tally.lost += count ?? 1;
      recent.add(`lost_${reason}`, `${channel}: ${count ?? 'an unknown number'}`);
      events.lost(channel, count, reason);
    },
    repaired(channel, publications) {
      tally.repaired += publications;
      recent.add('repaired', `${channel}: ${publications}`);
      events.repaired(channel, publications);
    },
    epochStarted(channel) {
      recent.add('epoch_started', channel);
      events.epochStarted(channel);
    },
    degraded(cause) {
      tally.linkLosses += 1;
      recent.add('degraded', cause);
      events.degraded(cause);
    },
    restored(afterMs, shard) {
      recent.add('restored', `after ${Math.round(afterMs)} ms`);
      events.restored(afterMs, shard);
    },
    workerLost(slot, cause) {
      tally.workersLost += 1;
      recent.add('worker_lost', `${slot}: ${cause.split('\n', 1)[0]}`);
      events.workerLost(slot, cause);
    },
    drainStarted(connections) {
      recent.add('drain_started', clientsOf(connections));
      events.drainStarted(connections);
    },
    drainEnded(leftOver) {
      recent.add('drain_ended', `${clientsOf(leftOver)} left over`);
      events.drainEnded(leftOver);
    },
    shedStarted(count, overSeconds) {
      recent.add('shed_started', `${clientsOf(count)} over ${overSeconds} s`);
      events.shedStarted(count, overSeconds);
    },
  };
}

function clientsOf(count: number): string {
  return count === 1 ? '1 client' : `${count} clients`;
}

/** Extends the events of a fan-out worker: they also count what the console shows. */
export function withClientTally(
  events: ClientListenerEvents,
  tally: ClientTally,
): ClientListenerEvents {
  return {
    ...events,
    clientClosed(reason, ...rest) {
      if (reason === 'slow') tally.closedSlow += 1;
      events.clientClosed(reason, ...rest);
    },
    gapTold(reason, clients) {
      tally.gaps += clients;
      events.gapTold(reason, clients);
    },
    delivered(lagMs) {
      const at = LAG_BOUNDS_MS.findIndex((bound) => lagMs <= bound);
      const bucket = at === -1 ? LAG_BOUNDS_MS.length : at;
      tally.lag[bucket] = (tally.lag[bucket] ?? 0) + 1;
      events.delivered(lagMs);
    },
  };
}
