import {
  type Audience,
  createDeliveryRound,
  deliver,
  type Publication,
  type SendQueues,
} from '@tradewind/fanout';
import { FlushRound } from '../outbound/flush-round.ts';
import { FlushScheduler } from '../outbound/flush-scheduler.ts';
import type { Connection } from './connection/connection.ts';
import { createFanOutStatistics, type FanOutEvents } from './fan-out-events.ts';
import type { FanOutSettings } from './fan-out-settings.ts';
import type { ReadableIndex } from './membership/membership.ts';
import type { PublicationBodies } from './publication-bodies.ts';
import { SavedByChannel } from './saved-by-channel.ts';

/** Puts publications into the queues of their subscribers, and schedules the writes to the subscribers' sockets. */
export class Deliveries {
  readonly statistics = createFanOutStatistics();
  readonly savedByChannel = new SavedByChannel();
  readonly #index: ReadableIndex;
  readonly #bodies: PublicationBodies;
  readonly #queues: SendQueues;
  readonly #round = createDeliveryRound<Connection>();
  readonly #flushRound: FlushRound<Connection>;
  readonly #flushScheduler: FlushScheduler;

  /** @param queues of the outboxes of all connections in the index. */
  constructor(
    settings: Pick<FanOutSettings, 'flushMs' | 'roundSpacing'>,
    index: ReadableIndex,
    bodies: PublicationBodies,
    queues: SendQueues,
    events: Pick<FanOutEvents, 'delivered'>,
  ) {
    this.#index = index;
    this.#bodies = bodies;
    this.#queues = queues;
    this.#flushRound = new FlushRound(this.#round.dirty, (publishedAt) => {
      events.delivered(Date.now() - publishedAt);
    });
    this.#flushScheduler = new FlushScheduler(settings.flushMs, settings.roundSpacing, () => {
      const isUnfinished = this.#flushRound.flushSome();
      if (!isUnfinished && !this.#flushRound.isEmpty) this.#flushScheduler.schedule();
      return isUnfinished;
    });
  }

  /** Ends its timer. Publications that wait are not written any more. */
  stop(): void {
    this.#flushScheduler.stop();
  }

  /** Schedules a flush of a connection whose queue was empty and holds something now. */
  flushSoon(connection: Connection): void {
    this.#round.dirty.push(connection);
    this.#flushScheduler.schedule();
  }

  /** Delivers a publication to the clients that have all of its channel. It must be the latest in the log. */
  deliver(publication: Publication): void {
    const refusedBefore = this.#round.refused;
    const now = performance.now();
    let reached = 0;
    for (const { group, bodyOf } of this.#bodies.groups) {
      const audience = this.#index.audience(publication.channel, group);
      if (audience.members.length === 0) continue;
      const body = bodyOf(publication);
      const { refused } = this.#round;
      deliver(withBody(publication, body), audience, this.#queues, now, this.#round);
      this.#countSaved(publication, body, audience.members.length + refused - this.#round.refused);
      reached += audience.members.length;
    }
    const refused = this.#round.refused - refusedBefore;
    this.statistics.indexLookups += 1;
    this.statistics.broadcastIterations += reached;
    this.statistics.refusals += refused;
    const queued = reached - refused;
    this.statistics.deliveries += queued;
    this.#applyVerdicts();
    this.#flushRound.mark(publication.publishedAt, publication.body.length, queued > 0);
  }

  /**
   * Delivers a publication to clients that have the latest of its channel.
   *
   * @param audience clients of one format, all of which have room for the publication.
   * @param skipped how many publications before it they were not sent.
   * @param isRaw whether they were not told what it is deflated against.
   */
  deliverLatest(
    publication: Publication,
    audience: Audience<Connection>,
    skipped: number,
    isRaw: boolean,
  ): void {
    const clients = audience.members.length;
    const { format } = audience.members[0] as Connection;
    const body = this.#bodies.latestBodyOf(publication, format, skipped, isRaw);
    if (format.isBinary) this.#countSaved(publication, body, clients);
    deliver(withBody(publication, body), audience, this.#queues, performance.now(), this.#round);
    this.statistics.broadcastIterations += clients;
    this.statistics.deliveries += clients;
    this.statistics.skipped += skipped * clients;
    this.#applyVerdicts();
  }

  /** Counts what a binary publication saves these clients, whose queues took it. A text publication saves nothing. */
  #countSaved({ body, channel }: Publication, sent: Uint8Array, clients: number): void {
    if (sent === body) return;
    const saved = (body.length - sent.length) * clients;
    this.statistics.savedBytes += saved;
    this.savedByChannel.count(channel, saved);
  }

  /** Acts on the verdicts of a delivery, once its loop is over. */
  #applyVerdicts(): void {
    const { nearlyFull, slow } = this.#round;
    for (const connection of nearlyFull) connection.flush();
    for (const connection of slow) connection.close('slow');
    nearlyFull.length = 0;
    slow.length = 0;
    if (!this.#flushRound.isEmpty) this.#flushScheduler.schedule();
  }
}

function withBody(publication: Publication, body: Uint8Array): Publication {
  return body === publication.body ? publication : { ...publication, body };
}
