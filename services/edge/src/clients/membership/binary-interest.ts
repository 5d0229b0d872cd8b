import type { Feed } from '../../feed.ts';
import type { Connection } from '../connection/connection.ts';
import type { MembershipListener, ReadableIndex } from './membership.ts';

/**
 * Tells the hub which channels have a client of this worker that reads all of them in binary frames. A client that has the latest
 * in each interval does not count: it is sent too little to pay for deflating every publication.
 */
export class BinaryInterest implements MembershipListener {
  readonly #feed: Pick<Feed, 'wantDeflated'>;
  readonly #index: Pick<ReadableIndex, 'audience'>;
  readonly #wanted = new Set<string>();

  constructor(feed: Pick<Feed, 'wantDeflated'>, index: Pick<ReadableIndex, 'audience'>) {
    this.#feed = feed;
    this.#index = index;
  }

  onJoined(connection: Connection, channel: string): void {
    this.#update(connection, channel);
  }

  onChanged(connection: Connection, channel: string): void {
    this.#update(connection, channel);
  }

  onLeft(connection: Connection, channel: string): void {
    this.#update(connection, channel);
  }

  #update({ format, group }: Connection, channel: string): void {
    if (!format.isBinary) return;
    const isWanted = this.#index.audience(channel, group).members.length > 0;
    if (isWanted === this.#wanted.has(channel)) return;
    if (isWanted) this.#wanted.add(channel);
    else this.#wanted.delete(channel);
    this.#feed.wantDeflated(channel, isWanted);
  }
}
