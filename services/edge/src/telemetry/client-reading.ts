import type { FanOut } from '../clients/fan-out.ts';
import { type ClientTally, createClientTally } from './node-tally.ts';

/** What a fan-out worker says of its clients, for the console. All but three only grow. */
export interface ClientReading {
  /** Values of this moment. */
  readonly connections: number;
  readonly subscriptions: number;
  readonly queueMax: number;
  /** Since the start. */
  readonly deliveries: number;
  readonly sentBytes: number;
  readonly refusals: number;
  readonly caughtUp: number;
  readonly tally: ClientTally;
}

/** The figures of a worker at this moment. */
export function readClients(fanOut: FanOut, tally: ClientTally): ClientReading {
  const { deliveries, refusals, caughtUp } = fanOut.statistics;
  return {
    connections: fanOut.connections.size,
    subscriptions: fanOut.index.subscriptions,
    queueMax: fanOut.fullestQueue.publications,
    deliveries,
    sentBytes: fanOut.bytesOut,
    refusals,
    caughtUp,
    tally,
  };
}

/** The figures of several workers together. */
export function addReadings(readings: readonly ClientReading[]): ClientReading {
  const sum = (of: (reading: ClientReading) => number): number =>
    readings.reduce((total, reading) => total + of(reading), 0);
  return {
    connections: sum((each) => each.connections),
    subscriptions: sum((each) => each.subscriptions),
    queueMax: Math.max(0, ...readings.map((each) => each.queueMax)),
    deliveries: sum((each) => each.deliveries),
    sentBytes: sum((each) => each.sentBytes),
    refusals: sum((each) => each.refusals),
    caughtUp: sum((each) => each.caughtUp),
    tally: {
      opened: sum(({ tally }) => tally.opened),
      closed: sum(({ tally }) => tally.closed),
      closedSlow: sum(({ tally }) => tally.closedSlow),
      gaps: sum(({ tally }) => tally.gaps),
      lag: createClientTally().lag.map((_, at) => sum(({ tally }) => tally.lag[at] ?? 0)),
    },
  };
}

/** What is left of a worker that has ended: what only grows, so that the node's totals never go back. */
export function totalsOfReading(reading: ClientReading): ClientReading {
  return { ...reading, connections: 0, subscriptions: 0, queueMax: 0 };
}
