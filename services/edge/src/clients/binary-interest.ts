import type { Feed } from '../feed.ts';
import type { Connection } from './connection.ts';
import type { MembershipListener } from './membership.ts';

/** Tells the hub for which channels of this worker a client reads binary frames. */
export class BinaryInterest implements MembershipListener {
  readonly #feed: Pick<Feed, 'wantDeflated'>;
  /** How many clients read binary frames of a channel, by channel. */
  readonly #readers = new Map<string, number>();

  constructor(feed: Pick<Feed, 'wantDeflated'>) {
    this.#feed = feed;
  }

  onJoined({ format }: Connection, channel: string): void {
    if (!format.isBinary) return;
    const readers = this.#readers.get(channel) ?? 0;
    this.#readers.set(channel, readers + 1);
    if (readers === 0) this.#feed.wantDeflated(channel, true);
  }

  onLeft({ format }: Connection, channel: string): void {
    if (!format.isBinary) return;
    const readers = (this.#readers.get(channel) ?? 0) - 1;
    if (readers > 0) {
      this.#readers.set(channel, readers);
      return;
    }
    this.#readers.delete(channel);
    this.#feed.wantDeflated(channel, false);
  }
}
