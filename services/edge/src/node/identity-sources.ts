import { REVOCATION_CHANNEL, type RedisRefusedError } from '@tradewind/bus';
import type { IdentityUpdate } from '../auth/identity-update.ts';
import { type JwksEvents, JwksSource } from '../auth/jwks-source.ts';
import {
  type RevocationEvents,
  RevocationSource,
  type RevocationStore,
} from '../auth/revocation-source.ts';
import type { IdentitySettings } from './identity.ts';

/** The subscriber's part that they use. */
export interface RevocationChannel {
  want(channel: string): void;
}

/**
 * What the verifiers of all workers need from elsewhere: keys from a URL, revocations from Redis. A node has them once, on its
 * main thread. With `EDGE_AUTH=none` nothing is asked for.
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

  /** All that a new worker must know. */
  current(): readonly IdentityUpdate[] {
    const revocations = this.revocations?.current() ?? [];
    return [
      { kind: 'keys', jwkSet: this.jwks?.jwkSet },
      { kind: 'revocations', revocations },
    ];
  }

  /** A token named a key that is not known. */
  requestKeys(): void {
    this.jwks?.request();
  }

  /** Begins. The link to Redis tells the rest by the methods below. */
  start(channel: RevocationChannel): void {
    this.jwks?.start();
    if (this.revocations !== undefined) channel.want(REVOCATION_CHANNEL);
  }

  stop(): void {
    this.jwks?.stop();
    this.revocations?.stop();
  }

  /** Redis has confirmed these channels. */
  confirmSubscriptions(channels: readonly string[]): void {
    if (channels.includes(REVOCATION_CHANNEL)) this.revocations?.confirmSubscription();
  }

  /** Takes a message if it is one of theirs. */
  takeMessage(channel: string, payload: Buffer): boolean {
    if (channel !== REVOCATION_CHANNEL) return false;
    this.revocations?.addMessage(payload);
    return true;
  }

  /** Takes a refusal if it is one of theirs. */
  takeRefusal(channel: string, error: RedisRefusedError): boolean {
    if (channel !== REVOCATION_CHANNEL) return false;
    this.revocations?.readUnsubscribed(error.message);
    return true;
  }
}
