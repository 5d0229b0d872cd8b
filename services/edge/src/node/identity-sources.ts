import { REVOCATION_CHANNEL, type RedisRefusedError } from '@tradewind/bus';
import type { IdentityUpdate } from '../auth/identity-update.ts';
import { type JwksEvents, JwksSource } from '../auth/jwks-source.ts';
import {
  type RevocationEvents,
  RevocationSource,
  type RevocationStore,
} from '../auth/revocation-source.ts';
import type { IdentitySettings } from './identity.ts';

/** The part of the subscriber that {@link IdentitySources} uses. */
export interface RevocationChannel {
  want(channel: string): void;
}

/**
 * What the verifiers of all workers need from outside: keys from a URL, revocations from Redis. A node has them once, on its
 * main thread. With `EDGE_AUTH=none` nothing is fetched or read.
 */
export class IdentitySources {
  readonly jwks: JwksSource | undefined;
  readonly revocations: RevocationSource | undefined;

  /** @param onUpdate tells the verifiers of all workers. */
  constructor(
    settings: IdentitySettings,
    store: RevocationStore,
    events: JwksEvents & RevocationEvents,
    onUpdate: (update: IdentityUpdate) => void,
  ) {
    const { auth, jwksUrl } = settings;
    if (jwksUrl !== undefined) {
      this.jwks = new JwksSource(jwksUrl, events, (jwkSet) => onUpdate({ kind: 'keys', jwkSet }));
    }
    if (auth === 'none') return;
    this.revocations = new RevocationSource(store, events, (revocations) => {
      onUpdate({ kind: 'revocations', revocations });
    });
  }

  /** The updates that a new worker must begin with. */
  current(): readonly IdentityUpdate[] {
    const revocations = this.revocations?.current() ?? [];
    return [
      { kind: 'keys', jwkSet: this.jwks?.jwkSet },
      { kind: 'revocations', revocations },
    ];
  }

  /** Requests newer keys, because a token named an unknown key. */
  requestKeys(): void {
    this.jwks?.request();
  }

  /** Begins to fetch keys and subscribes to revocations. The owner passes on what the link to Redis reports by the methods below. */
  start(channel: RevocationChannel): void {
    this.jwks?.start();
    if (this.revocations !== undefined) channel.want(REVOCATION_CHANNEL);
  }

  /** Ends all timers and fetches. */
  stop(): void {
    this.jwks?.stop();
    this.revocations?.stop();
  }

  /** Reads revocations if the channel of revocations is among those that Redis has confirmed. */
  confirmSubscriptions(channels: readonly string[]): void {
    if (channels.includes(REVOCATION_CHANNEL)) this.revocations?.confirmSubscription();
  }

  /** Takes a message of the channel of revocations. Returns false for any other message. */
  takeMessage(channel: string, payload: Buffer): boolean {
    if (channel !== REVOCATION_CHANNEL) return false;
    this.revocations?.addMessage(payload);
    return true;
  }

  /** Takes a refusal of the channel of revocations. Returns false for any other refusal. */
  takeRefusal(channel: string, error: RedisRefusedError): boolean {
    if (channel !== REVOCATION_CHANNEL) return false;
    this.revocations?.readUnsubscribed(error.message);
    return true;
  }
}
