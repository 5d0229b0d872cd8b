/** What binary frames say instead of a channel's name, and what clients were told of it. Each thread has one for each channel. */
export interface WireChannel {
  /** The node's small number for the channel, from 1. */
  readonly ref: number;
  /** The base of the times of its publications, in ms since the Unix epoch. */
  readonly ts: number;
  /**
   * The publication against which others are deflated; undefined while there is none. Every client of the thread that reads
   * references and has all of the channel was told it, before anything that was queued for the client since. A client that has
   * only the latest may not have been told it.
   */
  reference: WireReference | undefined;
}

/** A publication against which others of its channel are deflated. */
export interface WireReference {
  /** From 1. Each reference of a channel has the next number. */
  readonly id: number;
  /** The payload, a JSON text. */
  readonly data: string;
  /** The payload of the control frame that tells it. */
  readonly frame: Uint8Array;
}

/** The payload of a publication, deflated once for the whole node. */
export interface DeflatedPayload {
  readonly bytes: Uint8Array;
  /** The `id` of the reference that it was deflated against; 0 if there was none. */
  readonly reference: number;
}

/** One publication on its way to subscribers. It was encoded once, and all their outboxes share it. */
export interface Publication {
  readonly channel: string;
  /** Its offset in the channel's history, from 1; 0 if it came by plain PUBLISH and has none. */
  readonly offset: number;
  /** The JSON that is the same for every subscriber: all of the frame's payload after the number of its `seq`. */
  readonly body: Uint8Array;
  /** When it was published, in ms since the Unix epoch. */
  readonly publishedAt: number;
  /** What binary frames say of its channel. Undefined where no client can choose binary frames. */
  readonly wire?: WireChannel | undefined;
  /** Undefined if no client wants it deflated, or if that saves nothing. */
  readonly deflated?: DeflatedPayload | undefined;
}
