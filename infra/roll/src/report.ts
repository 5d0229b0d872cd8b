/** Reports what happens, a line at a time. */
export type Report = (line: string) => void;

/** An operation has stopped. The message says where, why, and which nodes are done and left. */
export class RollError extends Error {
  override readonly name = 'RollError';
}
