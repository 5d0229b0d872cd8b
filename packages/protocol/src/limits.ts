/**
 * The wire's fixed limits. A node may lower the ones that `welcome` announces; these are the values
 * that contract and codec are written for.
 */

/** Channels in one `subscribe` or `unsubscribe` request. Bounds the work that one frame can cause. */
export const MAX_CHANNELS_PER_REQUEST = 128;

/** A channel's name in bytes (it is ASCII, so also in characters). */
export const MAX_CHANNEL_BYTES = 128;

/** A request `id` that is a string, in UTF-8 bytes. It is echoed, so it is kept small. */
export const MAX_REQUEST_ID_BYTES = 64;

/**
 * A client's frame in bytes, by default: 128 channels with the longest names and a `since` each
 * come to 26 KiB.
 */
export const DEFAULT_MAX_MESSAGE_BYTES = 32 * 1024;

/** A publication's payload in bytes, by default. Trades are a few hundred bytes. */
export const DEFAULT_MAX_PUBLICATION_BYTES = 64 * 1024;

/** Publications of history that one channel may be asked for, by default. */
export const DEFAULT_MAX_HISTORY = 1_000;

/** How often a client should send `ping` when it hears nothing, in ms. */
export const DEFAULT_CLIENT_PING_MS = 20_000;

/** How long a client should wait for an answer before it reconnects, in ms. */
export const DEFAULT_CLIENT_TIMEOUT_MS = 10_000;
