import type { Position } from '@tradewind/protocol';
import type { Complaint } from './complaint.ts';

/** What was asked of the edge for a channel and not answered yet. */
export interface Asked {
  readonly since: Position | undefined;
  readonly history: number | undefined;
}

/** From and to, both included. */
export interface Range {
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
}

export interface Delivery {
  /** Which run of consecutive offsets it belongs to. */
  readonly run: number;
  readonly position: Position;
  readonly payload: string;
}

/** What an oracle remembers of one channel. */
export class ChannelRecord {
  readonly name: string;
  held = false;
  asked: Asked | undefined;
  /** Everything up to here is delivered, told as lost, or was complained about. */
  position: Position | undefined;
  /** Where the client began in this epoch: nothing up to here was asked for. */
  begin = 0;
  readonly pastEpochs = new Set<string>();
  readonly gaps: Range[] = [];
  readonly holes: Range[] = [];
  /** The `subscribed` whose replay is not over: how many come, and up to where. */
  replay: { left: number; readonly upTo: number } | undefined;
  /** The last delivery that is proven, or waits before those in {@link unproven}. */
  lastProven: Delivery | undefined;
  readonly unproven: Delivery[] = [];
  /** Counts the resyncs and fresh beginnings, behind which nothing need follow from before. */
  run = 0;
  /** The largest number in a payload so far. */
  number = 0;
  /** For publications without an offset: how many a `gap` told as lost since the last one. */
  plainTold = 0;
  plain = 0;
  /** New epochs that the client was told of while it knew another one. */
  epochsTold = 0;
  /** What was told as lost, or not recovered, in words. */
  readonly badNews: Pick<Complaint, 'kind' | 'detail'>[] = [];

  constructor(name: string) {
    this.name = name;
  }
}
