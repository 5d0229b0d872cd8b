import type { OutboxLimits, SlowPolicy } from '@tradewind/fanout';
import type { Welcome } from '@tradewind/protocol';
import type { Rights } from '../auth/rights.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { WriteMode } from '../outbound/socket-send.ts';
import type { WireFormat } from '../outbound/wire-format.ts';
import type { OwnerLimits } from '../owners/owner.ts';
import type { SessionLimits } from './session/session.ts';
import type { SubscriptionLimits } from './subscriptions/subscriptions.ts';

/** How a fan-out worker treats its clients. */
export interface FanOutSettings extends SessionLimits {
  readonly outbox: OutboxLimits;
  readonly slow: SlowPolicy;
  /** Bytes of recent publications that are kept for clients that are behind or resume; 0 for none. */
  readonly logBytes: number;
  readonly subscriptions: SubscriptionLimits;
  /** The rights of every client. If the node asks for tokens, each client has the rights of its token instead. */
  readonly rights: Rights;
  /** What the clients of one subject may have and do together. */
  readonly subjectLimits: OwnerLimits;
  /** Verifies who clients are. Undefined if the node does not ask for tokens. */
  readonly tokens?: Pick<TokenVerifier, 'verify'> | undefined;
  /** Whether requests beyond a rate are refused, or only counted. */
  readonly enforcesRates: boolean;
  /** Errors of a client within `ERROR_WINDOW_MS`; the last of them closes it. */
  readonly maxErrors: number;
  /** The pause between rounds of flushes under load, in ms; 0 for none. */
  readonly flushMs: number;
  /** See `FlushScheduler`. */
  readonly roundSpacing: number;
  /** The formats that clients may choose. A client that asks for none gets the first one. */
  readonly formats: readonly [WireFormat, ...WireFormat[]];
  /** How frames go to the kernel. */
  readonly writes: WriteMode;
  /** Whether the bytes that a client has not read must be bounded; see `needsSendWindow`. */
  readonly isWindowed: boolean;
  /** The number of connections of the whole node, the one that is being opened included. */
  readonly nodeConnections: () => number;
  /** The parts of `welcome` that are the same for every client. */
  readonly welcome: Omit<Welcome, 'type' | 'session' | 'serverTime' | 'protocol' | 'reconnect'>;
}
