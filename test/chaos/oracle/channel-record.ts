import type { Position } from '@tradewind/protocol';
import type { Complaint } from './complaint.ts';

/** A request to the edge for a channel that is not answered yet. */
export interface Asked {
  readonly since: Position | undefined;
  readonly history: number | undefined;
}

/** From and to, both inclusive. */
export interface Range {
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
}

export interface Delivery {
  /** The number of the run of consecutive offsets that it belongs to. */
  readonly run: number;
  readonly position: Position;
  readonly payload: string;
}

/** An oracle's record of one channel. */
export class ChannelRecord {
  readonly name: string;
  held = false;
  asked: Asked | undefined;
  /** Everything up to here was delivered, reported as lost, or complained about. */
  position: Position | undefined;
  /** The client's start in this epoch: it requested nothing up to here. */
  begin = 0;
  readonly pastEpochs = new Set<string>();
  readonly gaps: Range[] = [];
  readonly holes: Range[] = [];
  /** The `subscribed` whose replay is not complete: the number that is missing, and its end. */
  replay: { left: number; readonly upTo: number } | undefined;
  /** The last delivery that is proven, or that waits before those in {@link unproven}. */
  lastProven: Delivery | undefined;
  readonly unproven: Delivery[] = [];
  /** Whether the node has told an epoch since it answered the last `subscribe`. */
  isToldEpoch = false;
  /** Counts resyncs and new beginnings. After one, nothing need continue from before. */
  run = 0;
  /** The highest number in a payload so far. */
  number = 0;
  /** For publications without an offset: how many a `gap` has reported as lost since the last one. */
  plainTold = 0;
  plain = 0;
  /** Reports of a new epoch while the client knew another one. */
  epochsTold = 0;
  /** Reports of losses, and of answers without recovery, in words. */
  readonly badNews: Pick<Complaint, 'kind' | 'detail'>[] = [];

  constructor(name: string) {
    this.name = name;
  }
}
