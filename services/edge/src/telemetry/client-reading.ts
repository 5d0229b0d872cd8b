import type { FanOut } from '../clients/fan-out.ts';
import { type ClientTally, createClientTally } from './node-tally.ts';

/** The figures of a fan-out worker's clients, for the console. */
export interface ClientReading {
  /** Present values: this one and the next four. */
  readonly connections: number;
  readonly subscriptions: number;
  readonly queueMax: number;
  readonly latest: number;
  readonly binaryConnections: number;
  /** Totals since the start: this one and all that follow. */
  readonly deliveries: number;
  readonly sentBytes: number;
  readonly skipped: number;
  readonly savedBytes: number;
  readonly tally: ClientTally;
}

/** The figures of a worker at this moment. */
export function readClients(fanOut: FanOut, tally: ClientTally): ClientReading {
  const { deliveries, skipped, savedBytes } = fanOut.statistics;
  return {
    connections: fanOut.connections.size,
    subscriptions: fanOut.index.subscriptions,
    queueMax: fanOut.fullestQueue.publications,
    latest: fanOut.latestSubscriptions,
    binaryConnections: fanOut.binaryConnections,
    deliveries,
    sentBytes: fanOut.bytesOut,
    skipped,
    savedBytes,
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
    latest: sum((each) => each.latest),
    binaryConnections: sum((each) => each.binaryConnections),
    deliveries: sum((each) => each.deliveries),
    sentBytes: sum((each) => each.sentBytes),
    skipped: sum((each) => each.skipped),
    savedBytes: sum((each) => each.savedBytes),
    tally: {
      closedSlow: sum(({ tally }) => tally.closedSlow),
      gaps: sum(({ tally }) => tally.gaps),
      lag: createClientTally().lag.map((_, at) => sum(({ tally }) => tally.lag[at] ?? 0)),
    },
  };
}

/** The totals of a worker that has ended, without its present values, so that the node's totals never decrease. */
export function totalsOfReading(reading: ClientReading): ClientReading {
  const levels = { connections: 0, subscriptions: 0, queueMax: 0, latest: 0, binaryConnections: 0 };
  return { ...reading, ...levels };
}
