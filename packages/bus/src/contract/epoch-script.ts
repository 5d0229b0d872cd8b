import { defineScript, SCRIPT_FILE, UnexpectedReplyError } from './script.ts';

/** What became of an attempt to start a new epoch. */
export interface EpochStart {
  /** Whether this call started it. If not, the epoch was another than expected already. */
  readonly changed: boolean;
  /** The epoch that the channel has now; empty when it has none. */
  readonly epoch: string;
  /** The channel's last offset; a new epoch continues after it. 0 if the channel has none. */
  readonly offset: number;
}

/**
 * The text that EVAL takes and whose SHA-1 EVALSHA takes. KEYS: meta and log. ARGV: the epoch that the caller has seen,
 * or an empty string when it has seen no meta. Answers changed (0 or 1), epoch, offset.
 */
export const EPOCH_SCRIPT = defineScript(
  'tradewind_epoch_1',
  SCRIPT_FILE.replace(/return publish\(KEYS, ARGV\)\n$/, 'return start_epoch(KEYS, ARGV)\n'),
);

/** @throws {UnexpectedReplyError} when it is not the answer of this script. */
export function readEpochReply(reply: unknown): EpochStart {
  if (!Array.isArray(reply)) throw new UnexpectedReplyError(EPOCH_SCRIPT.name);
  const [changed, epoch, offset] = reply as unknown[];
  if (typeof epoch !== 'string' || typeof offset !== 'number')
    throw new UnexpectedReplyError(EPOCH_SCRIPT.name);
  return { changed: changed === 1, epoch, offset };
}
