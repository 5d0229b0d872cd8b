import { LOST_AGAIN_MAX_MS, RECONNECT_MAX_MS, TURNED_AWAY_MAX_MS } from './redis-limits.ts';

/**
 * What a link does about a state. `stay`: the answer is one of a living server, and the link goes on. `wait`:
 * the same, but a new link is not up before the state has ended. `leave`: as `wait`, and the link is replaced
 * once, since the name or the Sentinels may lead to another server by now. `authenticate`: a new connection,
 * with the password as its file holds it then. `replace`: a new connection.
 */
export type LinkAction = 'stay' | 'wait' | 'leave' | 'authenticate' | 'replace';

/** One row of what Redis says. */
export interface RedisState {
  /** How the error reply begins; for an absence of one, words of our own in lower case. */
  readonly says: string;
  /** What is the case, for people. */
  readonly state: string;
  readonly reads: 'answered' | 'refused';
  readonly writes: 'answered' | 'refused';
  /** Whether subscribers get what is published; `attached`: while the replica is in touch with its master. */
  readonly delivers: 'yes' | 'attached' | 'no';
  readonly link: LinkAction;
  /** The longest wait before the same is asked, or tried, again, in ms. */
  readonly waitMs: number;
  /** `passing`: it ends by itself, so what was refused may be repeated. `lasting`: somebody has to act. */
  readonly lasts: 'passing' | 'lasting';
}

/** Of what passes: often enough that nobody waits long for its end, at most one question a second. */
const SOON_MS = 1_000;

/** Of what somebody has to mend, and nobody waits for. */
const LATER_MS = 30_000;

const SERVES = { reads: 'answered', writes: 'refused', delivers: 'yes' } as const;
const ABSENT = { reads: 'refused', writes: 'refused', delivers: 'no' } as const;

/** An error reply that no other row begins like. */
const OTHER: RedisState = {
  says: 'ERR',
  state: 'it does not do this, now or ever; its text says why',
  reads: 'answered',
  writes: 'answered',
  delivers: 'yes',
  ...{ link: 'stay', waitMs: LATER_MS, lasts: 'lasting' },
};

/** No answer within the time that a link owes one. */
export const NO_ANSWER: RedisState = {
  says: 'no answer',
  state: 'it is frozen, paused (CLIENT PAUSE) or busy with one command, or the way to it is cut',
  ...ABSENT,
  ...{ link: 'replace', waitMs: RECONNECT_MAX_MS, lasts: 'passing' },
};

/** The connection was ended by Redis, or on the way. */
export const CLOSED: RedisState = {
  says: 'closed',
  state:
    'it ended, killed the connection, or the connection did not keep up (client-output-buffer-limit pubsub)',
  ...ABSENT,
  ...{ link: 'replace', waitMs: LOST_AGAIN_MAX_MS, lasts: 'passing' },
};

/** No connection could be made. */
export const UNREACHABLE: RedisState = {
  says: 'unreachable',
  state: 'nobody listens there, the name has no address, or the certificate is not trusted',
  ...ABSENT,
  ...{ link: 'replace', waitMs: RECONNECT_MAX_MS, lasts: 'passing' },
};

/**
 * What Redis says, and what each of its words means for reading, for writing and for the link. Every link,
 * probe and caller of a script, and ingest, takes it from here; so does the runbook.
 *
 * An error reply is the answer of a living server. Most refuse writes alone: what is published goes on to be
 * delivered, and a link that is replaced for such a word finds the same word again and has lost publications.
 */
export const REDIS_STATES: readonly RedisState[] = [
  {
    says: 'MISCONF',
    state: 'it cannot save to disk',
    ...SERVES,
    ...{ link: 'stay', waitMs: SOON_MS, lasts: 'lasting' },
  },
  {
    says: 'OOM',
    state: 'its memory is full, and noeviction keeps what is there',
    ...SERVES,
    ...{ link: 'stay', waitMs: SOON_MS, lasts: 'lasting' },
  },
  {
    says: 'READONLY',
    state: 'it is a replica: demoted, or found by a name that is out of date',
    ...SERVES,
    ...{ delivers: 'attached', link: 'leave', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'NOREPLICAS',
    state:
      'too few replicas follow it (min-replicas-to-write); it may have been cut off and replaced',
    ...SERVES,
    ...{ link: 'leave', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'MASTERDOWN',
    state: 'a replica that lost its master and serves no stale data',
    ...ABSENT,
    ...{ link: 'leave', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'LOADING',
    state: 'it reads its data from disk, or from its master',
    ...ABSENT,
    ...{ link: 'wait', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'BUSY',
    state: 'a script of somebody runs for too long',
    ...ABSENT,
    ...{ link: 'wait', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'UNKILLABLE',
    state: 'that script has written already, so nothing but SHUTDOWN NOSAVE ends it',
    ...ABSENT,
    ...{ link: 'wait', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'CLUSTERDOWN',
    state: 'its cluster misses slots',
    ...{ reads: 'refused', writes: 'refused', delivers: 'yes' },
    ...{ link: 'stay', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'TRYAGAIN',
    state: 'its cluster moves this slot',
    ...{ reads: 'refused', writes: 'refused', delivers: 'yes' },
    ...{ link: 'stay', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'MOVED',
    state: 'it is a node of a Redis Cluster, which is not supported',
    ...{ reads: 'refused', writes: 'refused', delivers: 'yes' },
    ...{ link: 'stay', waitMs: LATER_MS, lasts: 'lasting' },
  },
  {
    says: 'NOAUTH',
    state: 'it asks for a password, and none was given',
    ...ABSENT,
    ...{ link: 'authenticate', waitMs: TURNED_AWAY_MAX_MS, lasts: 'lasting' },
  },
  {
    says: 'WRONGPASS',
    state: 'user or password are wrong: the password was rotated, or the user is disabled',
    ...ABSENT,
    ...{ link: 'authenticate', waitMs: TURNED_AWAY_MAX_MS, lasts: 'lasting' },
  },
  {
    says: 'NOPERM',
    state: 'the ACL of the user does not allow this command, key or channel',
    reads: 'answered',
    writes: 'answered',
    delivers: 'yes',
    ...{ link: 'stay', waitMs: LATER_MS, lasts: 'lasting' },
  },
  {
    says: 'DENIED',
    state: 'protected mode: it has no password, and takes only connections from its own machine',
    ...ABSENT,
    ...{ link: 'replace', waitMs: TURNED_AWAY_MAX_MS, lasts: 'lasting' },
  },
  {
    says: 'ERR max number of clients',
    state: 'it has as many connections as it may (maxclients); those that are there go on',
    ...ABSENT,
    ...{ link: 'replace', waitMs: TURNED_AWAY_MAX_MS, lasts: 'passing' },
  },
  {
    says: 'NOSCRIPT',
    state: 'its scripts were flushed; the call is repeated with the text',
    reads: 'answered',
    writes: 'answered',
    delivers: 'yes',
    ...{ link: 'stay', waitMs: 0, lasts: 'passing' },
  },
  {
    says: 'WRONGTYPE',
    state: 'the key holds something of another type',
    reads: 'answered',
    writes: 'answered',
    delivers: 'yes',
    ...{ link: 'stay', waitMs: LATER_MS, lasts: 'lasting' },
  },
  OTHER,
  NO_ANSWER,
  CLOSED,
  UNREACHABLE,
];

/** The reply's first word; a Redis before 7 puts the script's line in front: `@user_script: 108: -OOM …`. */
const CODE = /^(?:@\w+: \d+: )?-?([A-Z][A-Z0-9_]*)\b/;

/** The word by which an error reply says what happened; `ERR` when it has none. */
export function replyCode(reply: string): string {
  return CODE.exec(reply)?.[1] ?? OTHER.says;
}

const LONGER_THAN_A_WORD = REDIS_STATES.filter(({ says }) => says.startsWith('ERR '));
const BY_CODE = new Map(REDIS_STATES.map((state) => [state.says, state]));

/** The row of an error reply; that of `ERR` where it has none of its own, the publish script's words included. */
export function stateOfReply(reply: string): RedisState {
  const longer = LONGER_THAN_A_WORD.find(({ says }) => reply.startsWith(says));
  return longer ?? BY_CODE.get(replyCode(reply)) ?? OTHER;
}
