/** One publication on its way to subscribers. It was encoded once, and all their outboxes share it. */
export interface Publication {
  readonly channel: string;
  /** Its number in the channel's history, from 1. 0 when it came by plain PUBLISH and has no number. */
  readonly offset: number;
  /** The JSON that every subscriber receives alike: all of the frame's payload behind the number of its `seq`. */
  readonly body: Uint8Array;
  /** When it was published, in ms since the Unix epoch. */
  readonly publishedAt: number;
}
