/** Says what happens, a line at a time. */
export type Report = (line: string) => void;

/** What was begun has stopped: the message says where, why, and what is done and left. */
export class RollError extends Error {
  override readonly name = 'RollError';
}
