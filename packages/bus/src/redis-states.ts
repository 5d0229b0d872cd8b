import { LOST_AGAIN_MAX_MS, RECONNECT_MAX_MS, TURNED_AWAY_MAX_MS } from './redis-limits.ts';

/**
 * What a link does about a state:
 * - `stay`: the server is alive, so the link stays up.
 * - `wait`: a link that is up stays up; a new link is not up before the state has ended.
 * - `leave`: as `wait`, and the link is replaced once, because the name or the Sentinels may lead to another server now.
 * - `authenticate`: the link is replaced, and the password's file is read again.
 * - `replace`: the link is replaced.
 */
export type LinkAction = 'stay' | 'wait' | 'leave' | 'authenticate' | 'replace';

/** One row of what Redis says. */
export interface RedisState {
  /** How the error reply begins. If there is no reply, words of our own in lower case. */
  readonly says: string;
  /** What it means, for people. */
  readonly state: string;
  readonly reads: 'answered' | 'refused';
  readonly writes: 'answered' | 'refused';
  /** Whether subscribers get publications; `attached`: only while the replica is connected to its master. */
  readonly delivers: 'yes' | 'attached' | 'no';
  readonly link: LinkAction;
  /** The longest wait before the next attempt, in ms. */
  readonly waitMs: number;
  /** `passing`: the state ends by itself, so a refused command may be repeated. `lasting`: an operator must act. */
  readonly lasts: 'passing' | 'lasting';
}

/** For passing states: at most one attempt a second, so that nobody waits long for the end. */
const SOON_MS = 1_000;

/** For states that an operator must mend. */
const LATER_MS = 30_000;

const SERVES = { reads: 'answered', writes: 'refused', delivers: 'yes' } as const;
const ABSENT = { reads: 'refused', writes: 'refused', delivers: 'no' } as const;

/** Any error reply without a row of its own. */
const OTHER: RedisState = {
  says: 'ERR',
  state: 'it does not do this, now or ever; its text says why',
  reads: 'answered',
  writes: 'answered',
  delivers: 'yes',
  ...{ link: 'stay', waitMs: LATER_MS, lasts: 'lasting' },
};

/** Redis did not answer within the time limit of a link. */
const NO_ANSWER: RedisState = {
  says: 'no answer',
  state: 'it is frozen, paused (CLIENT PAUSE) or busy with one command, or the way to it is cut',
  ...ABSENT,
  ...{ link: 'replace', waitMs: RECONNECT_MAX_MS, lasts: 'passing' },
};

/** Redis, or something on the way, ended the connection. */
export const CLOSED: RedisState = {
  says: 'closed',
  state:
    'it ended, killed the connection, or the connection did not keep up (client-output-buffer-limit pubsub)',
  ...ABSENT,
  ...{ link: 'replace', waitMs: LOST_AGAIN_MAX_MS, lasts: 'passing' },
};

/** No connection could be made. */
const UNREACHABLE: RedisState = {
  says: 'unreachable',
  state: 'nobody listens there, the name has no address, or the certificate is not trusted',
  ...ABSENT,
  ...{ link: 'replace', waitMs: RECONNECT_MAX_MS, lasts: 'passing' },
};

/**
 * What Redis may say, and what each reply means for reading, for writing and for the link. Every link, every probe, every
 * script call and ingest go by this table; so does the runbook.
 *
 * An error reply comes from a server that is alive. Most refuse only writes, and Redis still delivers publications. A
 * link that is replaced because of such a reply gets the same reply again and has lost publications meanwhile.
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
    says: 'ASK',
    state: 'its cluster moves this slot, and another node has the key already',
    ...{ reads: 'refused', writes: 'refused', delivers: 'yes' },
    ...{ link: 'stay', waitMs: SOON_MS, lasts: 'passing' },
  },
  {
    says: 'MOVED',
    state:
      'it is a node of a Redis Cluster and another node has the slot; needs REDIS_MODE=cluster',
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

/** Matches the reply's code. Before version 7, Redis puts the script's line in front: `@user_script: 108: -OOM …`. */
const CODE = /^(?:@\w+: \d+: )?-?([A-Z][A-Z0-9_]*)\b/;

/** Returns the code with which an error reply begins; `ERR` if it has none. */
export function replyCode(reply: string): string {
  return CODE.exec(reply)?.[1] ?? OTHER.says;
}

const LONGER_THAN_A_WORD = REDIS_STATES.filter(({ says }) => says.startsWith('ERR '));
const BY_CODE = new Map(REDIS_STATES.map((state) => [state.says, state]));

/** Returns the row of an error reply. A reply without a row, such as one of the publish script's, gets that of `ERR`. */
export function stateOfReply(reply: string): RedisState {
  const longer = LONGER_THAN_A_WORD.find(({ says }) => reply.startsWith(says));
  return longer ?? BY_CODE.get(replyCode(reply)) ?? OTHER;
}
