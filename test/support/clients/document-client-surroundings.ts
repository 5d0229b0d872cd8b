import type { Gap, Position, PublicationMessage } from '@tradewind/protocol';

/** One connection, as a client sees it. */
export interface Wire {
  send(text: string): void;
  close(code: number): void;
}

/** The events of one connection, in order, with none after `closed` or `refused`. */
export interface WireEvents {
  frame(text: string): void;
  /** The answer was this HTTP status instead of 101. */
  refused(status: number, retryAfterSeconds: number | undefined): void;
  /** @param code undefined if there was none, or none that can be read. */
  closed(code: number | undefined): void;
}

/** The client's environment. */
export interface Surroundings {
  /** Opens a connection to any node. Its events arrive after this has returned. */
  open(events: WireEvents): Wire;
  /** Calls `act` after `ms`, unless the returned function is called earlier. */
  after(ms: number, act: () => void): () => void;
  /** From 0, inclusive, to 1. */
  random(): number;
  /** Gets a new token and calls `use`, at once or later; with undefined if there is none. */
  token?(use: (token: string | undefined) => void): void;
}

/** Everything that the client gives the application, in order. */
export interface Application {
  used(publication: PublicationMessage): void;
  lost(gap: Gap): void;
  /**
   * The following publications of the channel do not continue the previous ones.
   *
   * @param at the client's position; undefined if the next publication will give it.
   */
  begins(channel: string, at: Position | undefined): void;
  /** The channel begins to have offsets, behind this position. Nothing was lost. */
  started(channel: string, at: Position): void;
  /** The channel was refused permanently. */
  gaveUp(channel: string, code: string): void;
  /** The client will not connect again. */
  stopped(): void;
}
