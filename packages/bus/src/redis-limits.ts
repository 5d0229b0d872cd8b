/**
 * The numbers that shape a Redis connection. A link that died must be noticed within 3 s and be back
 * within 2 s after Redis is; both sums are given where they are made.
 */

/** Between the answer to one PING and the next PING, in ms. */
export const PING_INTERVAL_MS = 1_000;

/**
 * A link that owes an answer and has not sent a byte for so long is cut, in ms. With the interval
 * before, a Redis that stopped is noticed after at most 2.5 s.
 */
export const SILENCE_LIMIT_MS = 1_500;

/**
 * Looks, evenly spread over that time, of which each must find no new byte. More than one, because a
 * timer that fires after a stall of our own event loop looks before the socket was read.
 */
export const SILENT_LOOKS = 3;

/**
 * A link that sends bytes, but not the answer that it owes, is cut after this, in ms: far longer than
 * a burst of messages delays the answer behind it, so that load alone does not cost the link.
 */
export const ANSWER_LIMIT_MS = 10_000;

/** TCP connect, and the TLS handshake where there is one, in ms. A Redis in the same region needs 5. */
export const CONNECT_TIMEOUT_MS = 2_000;

/**
 * How long an orderly close may take before the socket is destroyed, in ms. On a dead path this is
 * paid in full each time, and ioredis' own default of 2 s would be all of the time to recover.
 */
export const DISCONNECT_TIMEOUT_MS = 100;

/** The first wait before connecting again, in ms; each further one is twice as long. */
export const RECONNECT_MIN_MS = 50;

/**
 * The longest wait before connecting again, in ms. Half of the promised 2 s; an attempt that is
 * refused costs Redis nothing, so that a hundred nodes may knock once a second.
 */
export const RECONNECT_MAX_MS = 1_000;

/**
 * The longest wait before connecting again to a Redis that answers and takes no connection of ours, in ms.
 * Between 2.5 and 5 s for each link, and six quick attempts before: the two of a node make fewer than 30 in
 * 30 s.
 */
export const TURNED_AWAY_MAX_MS = 5_000;

/**
 * The longest wait before connecting again after a link that was up and lost soon, in ms: killed again and
 * again, it is missed for less than the 3 s within which a loss is to be made up for.
 */
export const LOST_AGAIN_MAX_MS = 2_000;

/** How long a link must have been up for its loss to be the first of a row again, in ms. */
export const LINK_PROVEN_MS = 5_000;

/**
 * How long a departure of a command link counts, in ms: a name that is out of date leads back to the same
 * replica, and to the master later. Subscriptions do not leave again; they follow the commands.
 */
export const LEAVE_AGAIN_MS = 30_000;

/** Departures that one link remembers: more than one name leads to servers. */
export const LEFT_SERVERS_KEPT = 64;

/** Different causes of one outage that are told, after its first. */
export const CAUSES_TOLD = 8;

/** When the kernel begins to probe an idle connection, in ms. Only a second line behind PING. */
export const KEEP_ALIVE_MS = 10_000;

/**
 * Channels in one SUBSCRIBE or UNSUBSCRIBE. With the longest names 70 KB: large enough that ten
 * thousand channels are back after 20 commands, small enough not to hold up Redis' other clients.
 */
export const SUBSCRIBE_BATCH_CHANNELS = 512;

/**
 * SUBSCRIBE and UNSUBSCRIBE commands that wait for their acks at the same time. Redis confirms each
 * channel with a push of its own: 4,096 of them are milliseconds of work, and keep PING quick.
 */
export const SUBSCRIBE_COMMANDS_IN_FLIGHT = 8;

/** The first wait before a refused channel is asked for again, in ms; each further one is doubled. */
export const REFUSED_RETRY_MIN_MS = 1_000;

/** The longest wait before a refused channel is asked for again, in ms. */
export const REFUSED_RETRY_MAX_MS = 30_000;

/**
 * Commands that wait for their replies at the same time on a command link. What arrives in the 2.5 s
 * before a dead link is noticed must fit: 6,500 a second.
 */
export const COMMANDS_IN_FLIGHT = 16_384;

/** Payload bytes of those commands together. Bounds what a Redis that stopped reading costs us. */
export const COMMAND_BYTES_IN_FLIGHT = 32 * 1024 * 1024;

/** How long a heartbeat's key outlives its last beat, in ms: a node that is gone leaves nothing behind. */
export const HEARTBEAT_EXPIRY_MS = 30_000;
/**
 * Between two looks at a subscription that proves itself, in ms. What goes wrong right after a look is
 * found by the third one after it: within 3 s, since the first of the two that count waits for what
 * was published a look before.
 */
export const PROBE_INTERVAL_MS = 1_000;

/** Looks in a row without a probe that cost the link. One may be lost to a failover that repairs itself. */
export const PROBE_LATE_LIMIT = 2;

/** Looks in a row at which Redis holds another number of subscriptions than it confirmed. */
export const SUBSCRIPTIONS_WRONG_LIMIT = 2;

/** Tokens that may still come back late: more than a link lives through without one. */
export const PROBE_TOKENS_KEPT = 16;

/**
 * How long no heartbeat can be sent, because the connection for commands is down, until a link counts as
 * restored without this proof, in ms: three looks. It is up and subscribed, and its clients are waiting.
 */
export const UNSENT_LIMIT_MS = 3_000;

/** Until a link without a proof yet is looked at again, when its heartbeat could not be sent, in ms. */
export const PROBE_SOON_MS = 100;

/** Positions in one round trip. With the longest names 90 KB, about as for a SUBSCRIBE. */
export const POSITIONS_BATCH_KEYS = 512;

/** Reads that are under way at the same time on one subscription's connection. */
export const LINK_READS_IN_FLIGHT = 1_024;

/**
 * How long a Sentinel may take to answer before it counts as absent, in ms. A frozen one accepts
 * connections; without this it would be waited for without end.
 */
export const SENTINEL_ANSWER_MS = 1_000;

/**
 * Between two questions whether the master is still the same, in ms; they go to one Sentinel after the
 * other. As often as the other proofs of a link; with 100 nodes and 3 Sentinels each is asked 67 times
 * a second.
 */
export const SENTINEL_LOOK_INTERVAL_MS = 1_000;
