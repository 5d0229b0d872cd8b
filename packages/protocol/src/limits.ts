/**
 * The limits of the wire. A node may lower those that `welcome` announces. These are the values that the contract and the codec
 * are written for.
 */

/** The most channels in one `subscribe` or `unsubscribe` request. Bounds the work that one frame can cause. */
export const MAX_CHANNELS_PER_REQUEST = 128;

/**
 * How often a client may have the latest publication of a channel, in ms (`latest` in a `subscribe`). Few, so that all who want
 * the same interval share one timer.
 */
export const LATEST_INTERVALS_MS: readonly number[] = [100, 250, 500, 1_000, 2_000];

/** The longest name of a channel, in bytes and in characters: it is ASCII. */
export const MAX_CHANNEL_BYTES = 128;

/** The longest request `id` that is a string, in bytes of UTF-8. The answer repeats it, so it is kept small. */
export const MAX_REQUEST_ID_BYTES = 64;

/**
 * The largest frame of a client by default, in bytes. A request for 128 channels with the longest names and a `since` each takes
 * 26 KiB.
 */
export const DEFAULT_MAX_MESSAGE_BYTES = 32 * 1024;

/** The largest payload of a publication by default, in bytes. Trades are a few hundred bytes. */
export const DEFAULT_MAX_PUBLICATION_BYTES = 64 * 1024;

/**
 * The largest publication that others of its channel are deflated against, in bytes. A client keeps two of each channel, so 512
 * channels take 8 MiB at most. Trades are a few hundred bytes, and an excerpt of an order book some thousand.
 */
export const MAX_REFERENCE_BYTES = 8 * 1024;

/** The most publications of history that a client may ask one channel for, by default. */
export const DEFAULT_MAX_HISTORY = 1_000;

/** How often a client should send `ping` while it hears nothing, in ms. */
export const DEFAULT_CLIENT_PING_MS = 20_000;

/** How long a client should wait for the answer before it reconnects, in ms. */
export const DEFAULT_CLIENT_TIMEOUT_MS = 10_000;
