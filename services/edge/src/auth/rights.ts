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
  /** Channels that the client may hold or wait for; the node's own limit applies too. */
  readonly maxChannels: number;
  /** Publications of one channel that the client may ask for at once; the node's own limit applies too. */
  readonly maxHistory: number;
  /** Requests a second of one connection; the node's own limit applies too. */
  readonly requestsPerSecond: number;
  /** Bytes a second of publications of the past that one connection is sent; the node's own limit applies too. */
  readonly replayBytesPerSecond: number;
}

/** Whether a client may be sent publications of a channel that came before it subscribed. */
export function allowsPast(rights: Rights, channel: string): boolean {
  return rights.maxHistory > 0 && rights.allowsHistory(channel);
}

/** The most globs in one list of a token. An issuer that needs more must use fewer, wider globs. */
export const MAX_GLOBS = 64;

/** The name of the claim that holds a client's rights. */
export const RIGHTS_CLAIM = 'tw';

/** The limits of a token, each with the least that it may be: at a rate of 0 a client could never do anything. */
const LEAST = { maxChannels: 0, maxHistory: 0, requestsPerSecond: 1, replayBytesPerSecond: 1 };

type TokenLimits = Readonly<Record<keyof typeof LEAST, number>>;

/** The fields that the claim may have. */
const FIELDS: readonly string[] = ['channels', 'history', 'limits'];

const NO_LIMITS: TokenLimits = {
  maxChannels: Number.POSITIVE_INFINITY,
  maxHistory: Number.POSITIVE_INFINITY,
  requestsPerSecond: Number.POSITIVE_INFINITY,
  replayBytesPerSecond: Number.POSITIVE_INFINITY,
};

/** Rights to these channels and their history, without limits but the node's. */
export function rightsTo(allows: ChannelFilter): Rights {
  return { allows, allowsHistory: allows, ...NO_LIMITS };
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
  if (Object.keys(claim).some((name) => !FIELDS.includes(name))) return undefined;
  const channels = readGlobs(claim.channels);
  const history = readGlobs(claim.history);
  const limits = readLimits(claim.limits);
  if (channels === undefined || history === undefined || limits === undefined) return undefined;
  return {
    allows: (channel) => channels(channel) && offered.allows(channel),
    allowsHistory: (channel) => history(channel) && offered.allowsHistory(channel),
    maxChannels: Math.min(limits.maxChannels, offered.maxChannels),
    maxHistory: Math.min(limits.maxHistory, offered.maxHistory),
    requestsPerSecond: Math.min(limits.requestsPerSecond, offered.requestsPerSecond),
    replayBytesPerSecond: Math.min(limits.replayBytesPerSecond, offered.replayBytesPerSecond),
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

function readLimits(value: unknown): TokenLimits | undefined {
  if (value === undefined) return NO_LIMITS;
  if (!isRecord(value)) return undefined;
  const isKnown = Object.entries(value).every(
    ([name, limit]) =>
      Object.hasOwn(LEAST, name) &&
      Number.isSafeInteger(limit) &&
      Number(limit) >= LEAST[name as keyof typeof LEAST],
  );
  return isKnown ? { ...NO_LIMITS, ...value } : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
