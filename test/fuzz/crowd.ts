import type { Appetite } from './input-grammar.ts';

/** The clients of a run, and their pace. */
export interface Crowd {
  /** Clients at the same time. */
  readonly clients: number;
  /** Messages that a client sends at once after it has connected. */
  readonly burst: number;
  /** Messages a second; each client has one of these paces. */
  readonly paces: readonly number[];
  /** A client leaves after this many messages, and another one connects. */
  readonly messagesEach: number;
  /** One in this many clients reads nothing; 0: none. */
  readonly deafEvery: number;
  readonly appetite: Appetite;
}
