import {
  CHANNEL_PATTERN_GRAMMAR,
  type ChannelFilter,
  compileChannelPatterns,
} from '@tradewind/protocol';

/** What a client may read. Sessions may share one. */
export interface Rights {
  /** Whether the client may subscribe to the channel. */
  allows(channel: string): boolean;
  /** Whether the client may ask for the past of a channel that it may subscribe to. */
  allowsHistory(channel: string): boolean;
  /** Channels that the client may hold or wait for; the node's own limit holds as well. */
  readonly maxChannels: number;
  /** Publications of one channel that the client may ask for at once; the node's own limit holds as well. */
  readonly maxHistory: number;
}

/** Globs in one list of a token. More belong into fewer, wider globs. */
export const MAX_GLOBS = 64;

/** The name of the claim that holds a client's rights. */
export const RIGHTS_CLAIM = 'tw';

const LIMITS = ['maxChannels', 'maxHistory'] as const;

/** Rights to these channels and their history, without limits but the node's. */
export function rightsTo(allows: ChannelFilter): Rights {
  return {
    allows,
    allowsHistory: allows,
    maxChannels: Number.POSITIVE_INFINITY,
    maxHistory: Number.POSITIVE_INFINITY,
  };
}

/**
 * Reads the rights that a token's `tw` claim gives: `channels` and `history`, lists of globs, and `limits`. What is
 * absent is denied. A claim that is not understood in full gives no rights, because a misspelt limit must not be ignored.
 *
 * @param offered what the node offers; no token goes beyond it.
 * @returns undefined when the claim is malformed.
 */
export function readRights(claim: unknown, offered: Rights): Rights | undefined {
  if (claim === undefined) return readRights({}, offered);
  if (!isRecord(claim)) return undefined;
  const channels = readGlobs(claim.channels);
  const history = readGlobs(claim.history);
  const limits = readLimits(claim.limits);
  if (channels === undefined || history === undefined || limits === undefined) return undefined;
  const { maxChannels = offered.maxChannels, maxHistory = offered.maxHistory } = limits;
  return {
    allows: (channel) => channels(channel) && offered.allows(channel),
    allowsHistory: (channel) => history(channel) && offered.allowsHistory(channel),
    maxChannels: Math.min(maxChannels, offered.maxChannels),
    maxHistory: Math.min(maxHistory, offered.maxHistory),
  };
}

function readGlobs(value: unknown): ChannelFilter | undefined {
  if (value === undefined) return () => false;
  if (!Array.isArray(value) || value.length > MAX_GLOBS) return undefined;
  if (!value.every((glob) => typeof glob === 'string' && CHANNEL_PATTERN_GRAMMAR.test(glob))) {
    return undefined;
  }
  return compileChannelPatterns(value);
}

function readLimits(value: unknown): Partial<Record<(typeof LIMITS)[number], number>> | undefined {
  if (value === undefined) return {};
  if (!isRecord(value)) return undefined;
  const isKnown = Object.entries(value).every(
    ([name, limit]) =>
      LIMITS.some((known) => known === name) && Number.isSafeInteger(limit) && Number(limit) >= 0,
  );
  return isKnown ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
