/** One publication on its way to subscribers, encoded once and shared by all their outboxes. */
export interface Publication {
  readonly channel: string;
  /** Its number in the channel's history, from 1; 0 when it came by plain PUBLISH and has none. */
  readonly offset: number;
  /** What every subscriber receives alike: all of the frame's payload after its `seq`. */
  readonly body: Uint8Array;
  /** When it was published, ms since the Unix epoch. */
  readonly publishedAt: number;
}
