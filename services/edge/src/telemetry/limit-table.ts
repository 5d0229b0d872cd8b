import {
  dividedRate,
  type Limit,
  type LogLimiter,
  MAX_ADMIN_CONNECTIONS,
  type Metrics,
  widerRate,
} from '@tradewind/runtime';
import { MAX_TABLE_ENTRIES } from '../auth/revocation-table.ts';
import { ERROR_WINDOW_MS, MAX_PENDING_PONGS } from '../clients/requests.ts';
import {
  ADDRESS_PLAIN_SHARE,
  type EdgeConfig,
  LEAST_OWNERS,
  UNIDENTIFIED_SHARE,
} from '../config/edge-config.ts';
import type { Limited, LimitName, MemoryLimitName } from '../limits.ts';
import { ANSWER_DEADLINE_MS, MARK_BYTES, MOST_UNANSWERED } from '../outbound/send-window.ts';
import { TOLD_REFUSALS } from '../owners/owner.ts';

/**
 * Every limit of an edge: the rows of docs/limits.md. The comment where a limit is enforced says what it guards against.
 */
export const EDGE_LIMITS = {
  connections: {
    what: 'open WebSockets',
    per: 'node',
    amount: (config) => `${config.maxConnections}`,
    variables: ['WS_MAX_CONNECTIONS'],
    told: '503 `node_full` with `Retry-After`',
    countedBy: 'tradewind_edge_handshakes_total{outcome="node_full"}',
    enforced: 'always',
  },
  unidentified: {
    what: 'open WebSockets whose clients have not said who they are, where `EDGE_AUTH` is `jwt`; each for 5 s at most',
    per: 'node',
    amount: (config) => `${Math.ceil(config.maxConnections * UNIDENTIFIED_SHARE)}`,
    variables: ['WS_MAX_CONNECTIONS'],
    told: '429 `rate_limited` with `Retry-After`; after 5 s: closed with 4401 `unauthorized`',
    enforced: 'always',
  },
  http_connections: {
    what: 'connections to the public port that are no WebSockets',
    per: 'node',
    amount: (config) => `${config.httpMaxConnections}`,
    variables: ['HTTP_MAX_CONNECTIONS'],
    told: 'the one that has waited longest for its next request is closed',
    countedBy: 'tradewind_edge_http_connections_closed_total',
    enforced: 'always',
  },
  admin_connections: {
    what: 'connections to the admin port',
    per: 'node',
    amount: () => `${MAX_ADMIN_CONNECTIONS}`,
    variables: [],
    told: 'the one that has waited longest for its next request is closed',
    countedBy: 'tradewind_edge_admin_connections_closed_total',
    enforced: 'always',
  },
  address_connections: {
    what: 'open WebSockets',
    per: 'address',
    amount: (config) => `${config.addressMaxConnections}`,
    variables: ['EDGE_ADDRESS_MAX_CONNECTIONS'],
    told: '429 `rate_limited` with `Retry-After`',
    enforced: 'always',
  },
  address_http_connections: {
    what: 'connections to the public port that are no WebSockets, or not yet',
    per: 'address',
    amount: (config) => `${Math.ceil(config.httpMaxConnections * ADDRESS_PLAIN_SHARE)}`,
    variables: ['HTTP_MAX_CONNECTIONS'],
    told: 'nothing: the new one is reset',
    enforced: 'always',
  },
  address_handshakes: {
    what: 'connections, or handshakes that a trusted proxy passes on',
    per: 'address',
    amount: (config) => rate(config.addressHandshakeRate),
    variables: ['EDGE_ADDRESS_HANDSHAKE_RATE'],
    told: `429 \`rate_limited\` with \`Retry-After\`; connections beyond ${TOLD_REFUSALS.perSecond} more a second are reset`,
    enforced: 'unless report',
  },
  address_channels: {
    what: 'channels that no client of the worker held; where addresses are not known, of a subject',
    per: 'address',
    amount: ({ subscribeRate, nodeSubscribeRate }) =>
      rate(widerRate(subscribeRate, dividedRate(nodeSubscribeRate, LEAST_OWNERS))),
    variables: ['EDGE_NODE_SUBSCRIBE_RATE'],
    told: 'rejected with `rate_limited` and `retryAfterMs`',
    enforced: 'unless report',
  },
  subject_connections: {
    what: 'open WebSockets',
    per: 'subject',
    amount: (config) => `${config.subjectMaxConnections}`,
    variables: ['EDGE_SUBJECT_MAX_CONNECTIONS'],
    told: 'error `rate_limited`; closed with 4029 `rate_limited`',
    enforced: 'always',
  },
  subject_requests: {
    what: 'requests, as `requests` counts them',
    per: 'subject',
    amount: (config) => rate(config.subjectRequestRate),
    variables: ['EDGE_SUBJECT_REQUEST_RATE'],
    told: 'as `requests`',
    enforced: 'unless report',
  },
  subject_replay: {
    what: 'bytes of publications of the past; where nobody is asked who they are, of an address',
    per: 'subject',
    amount: ({ replayRate, historyReadRate }) =>
      rate(widerRate(replayRate, dividedRate(historyReadRate, LEAST_OWNERS))),
    variables: ['EDGE_HISTORY_READ_BYTES_PER_SECOND'],
    told: 'as `replay`',
    enforced: 'unless report',
  },
  message_bytes: {
    what: 'bytes of a frame from a client',
    per: 'request',
    amount: (config) => `${config.maxMessageBytes}`,
    variables: ['EDGE_MAX_MESSAGE_BYTES'],
    told: 'closed with 1009 `message_too_large`',
    countedBy: 'tradewind_edge_disconnects_total{reason="message_too_large"}',
    enforced: 'always',
  },
  requests: {
    what: 'requests, WebSocket pings, and pongs that answer no ping of the edge',
    per: 'connection',
    amount: (config) => rate(config.requestRate),
    variables: ['EDGE_REQUEST_RATE', 'EDGE_REQUEST_BURST'],
    told: 'error `rate_limited` with `id` and `retryAfterMs` (an unsubscribe is carried out); 200 of them not made up for: closed with 4029 `rate_limited`',
    enforced: 'unless report',
  },
  pongs: {
    what: 'WebSocket pongs that a client has not taken',
    per: 'connection',
    amount: () => `${MAX_PENDING_PONGS}`,
    variables: [],
    told: 'nothing: it sees 1006 `connection_lost`',
    countedBy: 'tradewind_edge_disconnects_total{reason="connection_lost"}',
    enforced: 'always',
  },
  errors: {
    what: 'requests answered with an error, or that name no channel that could exist',
    per: 'connection',
    amount: (config) => `${config.maxErrors} in ${ERROR_WINDOW_MS / 1_000} s`,
    variables: ['EDGE_MAX_ERRORS'],
    told: 'the error; with the last one: closed with 4029 `rate_limited`',
    enforced: 'unless report',
  },
  mentions: {
    what: 'channels named in `subscribe` requests',
    per: 'connection',
    amount: (config) => rate(config.subscribeRate),
    variables: ['EDGE_SUBSCRIBE_RATE', 'EDGE_MAX_CHANNELS_PER_CLIENT'],
    told: 'rejected with `rate_limited` and `retryAfterMs`; what is held is answered, and charged',
    enforced: 'unless report',
  },
  replay: {
    what: 'bytes of publications of the past (`since`, `history`)',
    per: 'connection',
    amount: (config) => rate(config.replayRate),
    variables: ['EDGE_REPLAY_RATE_BYTES', 'EDGE_REPLAY_BURST_BYTES'],
    told: 'rejected with `rate_limited` and `retryAfterMs`; what is begun is finished, and charged',
    enforced: 'unless report',
  },
  client_channels: {
    what: 'channels that are held or waited for',
    per: 'connection',
    amount: (config) => `${config.maxChannelsPerClient}`,
    variables: ['EDGE_MAX_CHANNELS_PER_CLIENT'],
    told: 'rejected with `too_many_channels`',
    enforced: 'always',
  },
  node_channels: {
    what: 'distinct channels held in Redis',
    per: 'node',
    amount: (config) => `${config.maxChannels}`,
    variables: ['EDGE_MAX_CHANNELS'],
    told: 'rejected with `node_channels_full` and `retryAfterMs`; while full, names that never carried anything give way, first those of clients that hold most: `unsubscribed` with this `reason`',
    enforced: 'always',
  },
  node_subscribes: {
    what: 'channels newly subscribed to in Redis',
    per: 'node',
    amount: (config) => rate(config.nodeSubscribeRate),
    variables: ['EDGE_NODE_SUBSCRIBE_RATE'],
    told: 'rejected with `rate_limited` and `retryAfterMs`',
    enforced: 'unless report',
  },
  history_reads: {
    what: 'bytes of history that Redis sends for clients',
    per: 'node',
    amount: (config) => rate(config.historyReadRate),
    variables: ['EDGE_HISTORY_READ_BYTES_PER_SECOND'],
    told: 'answered later; after 5 s without what was asked for, with the reason `unavailable`',
    enforced: 'unless report',
  },
  queue: {
    what: 'publications that wait for a client',
    per: 'connection',
    amount: (config) => `${config.queueSlots}, ${config.queueBytes} bytes`,
    variables: ['EDGE_QUEUE_SLOTS', 'EDGE_QUEUE_BYTES'],
    told: 'a `gap`; going on: closed with 4008 `slow`',
    countedBy: 'tradewind_edge_refusals_total',
    enforced: 'always',
  },
  unread: {
    what: 'bytes that the kernel is given before the client says that it has read those before, where `net.ipv4.tcp_wmem` allows more than 524288',
    per: 'connection',
    amount: () =>
      `${MOST_UNANSWERED} pings, one behind ${MARK_BYTES} bytes each; what it reads in ${ANSWER_DEADLINE_MS} ms once it has shown that it reads`,
    variables: [],
    told: 'nothing: what comes then waits in the queue',
    countedBy: 'tradewind_edge_refusals_total',
    enforced: 'always',
  },
  revocations: {
    what: 'revocations that are known, where `EDGE_AUTH` is `jwt`',
    per: 'node',
    amount: () => `${MAX_TABLE_ENTRIES}`,
    variables: [],
    told: 'nothing: a further one is not heeded, and logged; ingest refuses to make it',
    countedBy: 'tradewind_edge_revocations_ignored_total',
    enforced: 'always',
  },
} as const satisfies {
  readonly [Name in LimitName]: Limit<EdgeConfig> & {
    readonly enforced: Name extends MemoryLimitName ? 'always' : 'unless report';
  };
};

/** The counter of what exceeded a limit that has no counter of its own. */
export const LIMITED_TOTAL = 'tradewind_edge_limited_total';

/** Creates the event that a limit was exceeded, which counts and logs it. Each thread has one. */
export function limitedEvent(limited: LogLimiter, metrics: Metrics): Limited {
  const counter = metrics.counter({
    name: LIMITED_TOTAL,
    help: 'Times that a limit was exceeded, by limit (docs/limits.md), and whether something was refused for it (EDGE_LIMITS)',
    labelNames: ['limit', 'enforced'],
  });
  for (const [limit, { enforced, ...rest }] of Object.entries(EDGE_LIMITS)) {
    if ('countedBy' in rest) continue;
    counter.inc({ limit, enforced: 'true' }, 0);
    if (enforced === 'unless report') counter.inc({ limit, enforced: 'false' }, 0);
  }
  return (limit, isEnforced) => {
    counter.inc({ limit, enforced: String(isEnforced) });
    limited.warn(`limited_${limit}`, { limit, enforced: isEnforced });
  };
}

function rate({ perSecond, burst }: EdgeConfig['requestRate']): string {
  return `${perSecond} a second, ${burst} at once`;
}
