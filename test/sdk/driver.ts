import type { Position } from '@tradewind/client';

/** What the network or a node does to the clients of one edge, from then on. */
export type Fault =
  /** All present connections end in order (FIN), or by RST. */
  | 'cut'
  | 'reset'
  /** Nothing arrives in either direction, and nothing is closed. */
  | 'silent'
  /** What clients send does not arrive; what the edge sends does. */
  | 'deaf'
  /** Everything arrives 60 ms later. */
  | 'slow'
  /** Everything arrives 1.5 s later. */
  | 'late'
  /** The last four end. */
  | 'clear'
  /** New connections are reset, or end at the edge again. */
  | 'refuse'
  | 'accept'
  /** New connections get a web page instead of an upgrade, or end at the edge again. */
  | 'portal'
  | 'edge'
  /** The edge asks its clients to move within a second. */
  | 'shed'
  /** The process is killed, or is drained and ends. */
  | 'kill'
  | 'drain'
  /** It starts again. */
  | 'start';

/**
 * What scenarios need of the world beside the SDK: edges, Redis and faults. All of it is asynchronous and plain data, so that a
 * browser can reach it over HTTP.
 */
export interface Driver {
  /** Each edge behind its proxy. */
  readonly urls: readonly string[];
  /** An edge with `EDGE_AUTH=jwt`. */
  readonly securedUrl: string;
  /**
   * Publishes `count` payloads `{"n":1}`, `{"n":2}`, … which go on where the channel's last ended, and resolves with the
   * position of the last one. `history` is how many the channel keeps [1,000].
   */
  publish(channel: string, count: number, history?: number): Promise<Position>;
  /** Publishes `{"n":…}` without offsets. */
  publishPlain(channel: string, count: number): Promise<void>;
  /** Takes the history of a channel away, so that its next publication begins an epoch. */
  forget(channel: string): Promise<void>;
  fault(edge: number, fault: Fault): Promise<void>;
  /** Resolves when all edges reach Redis. */
  linked(): Promise<void>;
  /** Connections of clients that are open at the proxies. */
  connections(): Promise<number>;
  /** Redis ends and starts again, empty. */
  restartRedis(): Promise<void>;
  /** A token for the channels `BTC.*`. */
  token(kind: 'good' | 'forged' | 'expired'): Promise<string>;
}

/** What a driver can be asked to do, by its name. */
export const DRIVER_CALLS = [
  ...(['publish', 'publishPlain', 'forget', 'fault', 'linked'] as const),
  ...(['connections', 'restartRedis', 'token'] as const),
] satisfies readonly (keyof Driver)[];

/**
 * What happens to the page that a scenario runs in. A call is answered at once and carried out a moment later, since a
 * frozen page hears no answer.
 */
export interface PageDriver {
  /** Freezes the page for at least `forMs`, and publishes `count` payloads meanwhile. */
  freeze(channel: string, count: number, forMs: number): Promise<void>;
  /** Hides the page behind another one, publishes `count` payloads after `forMs`, and shows it again. */
  hide(channel: string, count: number, forMs: number): Promise<void>;
}

export const PAGE_CALLS = ['freeze', 'hide'] satisfies readonly (keyof PageDriver)[];
