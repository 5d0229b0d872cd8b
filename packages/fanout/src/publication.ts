/** What binary frames say instead of a channel's name, and what clients were told with it. One thread has one of each channel. */
export interface WireChannel {
  /** The node's small number for the channel, from 1. */
  readonly ref: number;
  /** The base of the times of its publications, in ms since the Unix epoch. */
  readonly ts: number;
  /**
   * The publication against which others are deflated. Every client of the thread that reads references and has all of the channel was told
   * it, before anything that was queued for the client since. Who has only the latest may not have been told it. Undefined while there is none.
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
  /** Its number in the channel's history, from 1. 0 when it came by plain PUBLISH and has no number. */
  readonly offset: number;
  /** The JSON that every subscriber receives alike: all of the frame's payload behind the number of its `seq`. */
  readonly body: Uint8Array;
  /** When it was published, in ms since the Unix epoch. */
  readonly publishedAt: number;
  /** What binary frames say of its channel. Undefined where nobody can ask for binary frames. */
  readonly wire?: WireChannel | undefined;
  /** Undefined where nobody wants it deflated, or where that saves nothing. */
  readonly deflated?: DeflatedPayload | undefined;
}
