/**
 * The limits of a Redis connection. A dead link must be noticed within 3 s, and must be back within 2 s after Redis is.
 */

/** The wait between the answer to a PING and the next PING, in ms. */
export const PING_INTERVAL_MS = 1_000;

/**
 * How long a link that owes an answer may send no byte before it is cut, in ms. Together with the interval before the
 * PING, a Redis that stopped is noticed after at most 2.5 s.
 */
export const SILENCE_LIMIT_MS = 1_500;

/**
 * Checks, evenly spread over {@link SILENCE_LIMIT_MS}, each of which must find no new byte. More than one, because a timer
 * that fires after a stall of our own event loop checks before the socket was read.
 */
export const SILENT_LOOKS = 3;

/**
 * How long a link may send bytes without the answer that it owes before it is cut, in ms. A burst of messages delays the
 * answer behind it by far less, so load alone does not cost the link.
 */
export const ANSWER_LIMIT_MS = 10_000;

/** The time limit of the TCP connect and of the TLS handshake, in ms. A Redis in the same region needs 5. */
export const CONNECT_TIMEOUT_MS = 2_000;

/**
 * How long an orderly close may take before the socket is destroyed, in ms. On a dead path every close takes all of it;
 * ioredis' default of 2 s would use up the time to recover.
 */
export const DISCONNECT_TIMEOUT_MS = 100;

/** The first wait before a reconnect, in ms; each later wait is twice as long. */
export const RECONNECT_MIN_MS = 50;

/**
 * The longest wait before a reconnect, in ms: half of the promised 2 s. A refused connection costs Redis nothing, so a
 * hundred nodes may try once a second.
 */
export const RECONNECT_MAX_MS = 1_000;

/**
 * The longest wait before a reconnect to a Redis that answers and refuses our connection, in ms. A link makes six quick
 * attempts and then waits 2.5 to 5 s each time: the two links of a node make fewer than 30 attempts in 30 s.
 */
export const TURNED_AWAY_MAX_MS = 5_000;

/**
 * The longest wait before a reconnect after a link that was up for less than {@link LINK_PROVEN_MS}, in ms. A link that is
 * killed again and again is then down for less than the 3 s within which a loss must be repaired.
 */
export const LOST_AGAIN_MAX_MS = 2_000;

/** How long a link must be up before the waits begin again from the first, in ms. */
export const LINK_PROVEN_MS = 5_000;

/**
 * How long a command link counts a server as left, in ms. An outdated name leads back to the same replica first, and to
 * the master later. A subscriber link never leaves a server twice; it follows the command link.
 */
export const LEAVE_AGAIN_MS = 30_000;

/** Servers that one link remembers as left: more than one name leads to. */
export const LEFT_SERVERS_KEPT = 64;

/** Further causes of one outage that are reported after the first one. */
export const MAX_FURTHER_CAUSES = 8;

/** How long a connection is idle before the kernel probes it, in ms. A second line of defence behind PING. */
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

/** The first wait before a refused channel is subscribed to again, in ms; each later wait is twice as long. */
export const REFUSED_RETRY_MIN_MS = 1_000;

/** The longest wait before a refused channel is subscribed to again, in ms. */
export const REFUSED_RETRY_MAX_MS = 30_000;

/**
 * Channels in one SSUBSCRIBE, which must be of one slot. A channel is its own hash tag, so that ten thousand channels of a cluster
 * share a slot with less than one other: there is nothing to batch, and the commands are pipelined.
 */
export const SHARD_SUBSCRIBE_BATCH_CHANNELS = 1;

/** SSUBSCRIBE and SUNSUBSCRIBE commands that wait for their acks: as many acks as {@link SUBSCRIBE_COMMANDS_IN_FLIGHT} have. */
export const SHARD_SUBSCRIBE_COMMANDS_IN_FLIGHT = 4_096;

/**
 * The interval at which the nodes of a cluster are asked who owns which slots while all is well, in ms. Redis tells of every
 * change where it matters: by MOVED, or by the end of a subscription.
 */
export const TOPOLOGY_INTERVAL_MS = 5_000;

/**
 * The same while a shard is away, a channel has no place, or a master says that its cluster is down, in ms. A promoted replica is found as soon; one hundred edges ask
 * each of three nodes 400 times a second then, and an answer takes some 20 µs.
 */
export const TOPOLOGY_SOON_MS = 250;

/** Nodes that are asked together. A majority of three is not needed: the epoch says which answer is the newest. */
export const TOPOLOGY_NODES_ASKED = 3;

/**
 * How long a node may take to answer who owns which slots, in ms. A frozen node accepts connections and never answers.
 */
export const TOPOLOGY_ANSWER_MS = 1_000;

/**
 * How long only answers of an older epoch must come before one of them is believed, in ms: the cluster was set up anew then. A
 * node that is cut off from the others keeps an old epoch, and is most likely not the only one that answers.
 */
export const OLDER_EPOCH_BELIEVED_MS = 30_000;

/** Redirects that one command, or one subscription within {@link TOPOLOGY_SOON_MS}, follows: two nodes may disagree for a while. */
export const MAX_REDIRECTS = 5;

/**
 * Commands in flight on one command link. All that are sent in the 2.5 s before a dead link is noticed must fit:
 * 6,500 a second.
 */
export const COMMANDS_IN_FLIGHT = 16_384;

/** Payload bytes of the commands in flight. Bounds the memory that a Redis which stopped reading costs. */
export const COMMAND_BYTES_IN_FLIGHT = 32 * 1024 * 1024;

/** How long a heartbeat's key outlives the last heartbeat, in ms. A node that is gone leaves no key behind. */
export const HEARTBEAT_EXPIRY_MS = 30_000;

/**
 * The interval between two checks of a subscription by probe, in ms. A fault that begins right after a check is found by
 * the third check after it, within 3 s: the first of the two checks that count waits for a probe that was published
 * before the fault.
 */
export const PROBE_INTERVAL_MS = 1_000;

/** Consecutive checks without a probe that end the link. One probe may be lost to a failover that repairs itself. */
export const PROBE_LATE_LIMIT = 2;

/** Consecutive checks at which Redis reports another number of subscriptions than it confirmed, before the link ends. */
export const SUBSCRIPTIONS_WRONG_LIMIT = 2;

/** Probe tokens that are remembered because they may come back late: more than a link survives without one. */
export const PROBE_TOKENS_KEPT = 16;

/**
 * How long a link waits for its first probe while the command connection is down and no heartbeat can be sent, in ms: three
 * checks. After that it counts as restored without the proof: it is up and subscribed, and its clients are waiting.
 */
export const UNSENT_LIMIT_MS = 3_000;

/** The interval between two checks of a link without a proof whose heartbeat could not be sent, in ms. */
export const PROBE_SOON_MS = 100;

/** Positions in one MGET. With the longest names it takes 90 KB, about as much as one SUBSCRIBE. */
export const POSITIONS_BATCH_KEYS = 512;

/** Reads in flight on one subscriber connection. */
export const LINK_READS_IN_FLIGHT = 1_024;

/**
 * How long a Sentinel may take to answer before it counts as absent, in ms. A frozen Sentinel accepts connections and
 * never answers.
 */
export const SENTINEL_ANSWER_MS = 1_000;

/**
 * The interval at which a link asks whether the master is still the same, in ms. The Sentinels are asked in turn. The
 * interval is that of a link's other proofs; with 100 nodes and 3 Sentinels, each Sentinel is asked 67 times a second.
 */
export const SENTINEL_LOOK_INTERVAL_MS = 1_000;

/** The interval at which a node writes its state for the console, in ms. The console calls a node silent after two. */
export const NODE_STATE_INTERVAL_MS = 1_000;

/** How long a node that ends waits until Redis has its last state, in ms: a Redis that does not answer must not hold it up. */
export const LAST_STATE_DEADLINE_MS = 500;

/** How long a node whose state Redis refused does not write it, in ms. */
export const NODE_STATE_REFUSED_WAIT_MS = 30_000;
