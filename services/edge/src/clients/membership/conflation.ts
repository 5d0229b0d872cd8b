import type { Audience, Publication, WireReference } from '@tradewind/fanout';
import { LATEST_INTERVALS_MS } from '@tradewind/protocol';
import type { GapNotice } from '../../feed.ts';
import type { Connection } from '../connection/connection.ts';
import { joinGaps } from '../connection/loss-notices.ts';
import type { Membership } from './membership.ts';
import { PhasedWindows } from './phased-windows.ts';
import { ReferenceWorth } from './reference-worth.ts';
import type { SharedWindows } from './shared-windows.ts';

/** What `"skipped":n,` takes in a publication at most, in bytes. */
const MOST_SKIPPED_BYTES = 28;

/** Puts what is due into the queues of clients. */
export interface ConflationOutput {
  /**
   * Delivers a publication to clients of one format, all of which have room for it.
   *
   * @param skipped how many publications before it they were not sent.
   * @param isRaw whether they were not told what it is deflated against.
   */
  deliver(
    publication: Publication,
    audience: Audience<Connection>,
    skipped: number,
    isRaw: boolean,
  ): void;
  /** The reference that clients with all of a channel were told last. Undefined too if this client is told none of the channel. */
  referenceFor(connection: Connection, channel: string): WireReference | undefined;
  /** Tells a client a reference, which may end the connection. */
  tellReference(connection: Connection, reference: WireReference): void;
  /** Tells clients of a gap. */
  tellGap(notice: GapNotice, connections: readonly Connection[]): void;
  /** Tells a client that it loses a publication, because its queue has no room. */
  tellRefused(publication: Publication, connection: Connection): void;
}

/** One client's subscription to the latest of a channel. */
interface Member {
  readonly connection: Connection;
  /** How many publications its channel had had when it was sent the last one of them, or when it joined. */
  seen: number;
  /** The `seq` of what it was sent last; 0 before the first. */
  sequence: number;
  /** The reference of the channel that it was told last. Undefined too once it was sent something raw, because there is another. */
  reference: WireReference | undefined;
  readonly worth: ReferenceWorth;
  /** A gap behind a publication that it had no room for; it is told when it has had a newer one, or that one. */
  owed: OwedGap | undefined;
}

interface OwedGap {
  readonly notice: GapNotice;
  /** How many publications its channel had had before the gap. */
  readonly published: number;
}

/** All who have the latest of one channel in the same windows: in one interval, and in one phase of it. */
interface ConflatedAudience {
  readonly channel: ConflatedChannel;
  readonly windows: SharedWindows<ConflatedAudience>;
  readonly members: Map<Connection, Member>;
  /** Those who joined since the present window began. They are sent the next publication at once, as the others were. */
  readonly fresh: Set<Member>;
  /** Those who are owed a gap. */
  readonly owing: Set<Member>;
  /** Gaps that are told when the window ends: before the newest publication, and behind it. */
  earlierGap: GapNotice | undefined;
  laterGap: GapNotice | undefined;
}

/** A channel that somebody has the latest of. */
interface ConflatedChannel {
  readonly name: string;
  readonly audiences: Map<SharedWindows<ConflatedAudience>, ConflatedAudience>;
  /** How many publications it has had since somebody wanted the latest. */
  published: number;
  /** Kept while somebody may have to be sent it. Undefined once something was told behind it that ends it. */
  newest: Publication | undefined;
}

/** Members who are sent the same bytes. */
interface Batch extends Audience<Connection> {
  readonly skipped: number;
  readonly isRaw: boolean;
  readonly members: Connection[];
  readonly queueIds: number[];
  readonly owners: Member[];
}

/**
 * Who wants the latest of a channel in each interval is sent at most one publication in each window of that length. If none
 * was held back when the window began, the first one that comes is sent at once. What comes behind it in the window is held back,
 * and the newest of that is sent when the window ends. So a value waits for no longer than an interval, nothing is sent while
 * nothing comes, and the cost depends on the interval and not on the number of publications.
 *
 * A client that does not take what it was sent last is sent nothing more of the channel. When it does, the next window brings
 * it the newest. So its queue holds one or two publications of the channel, and neither overflows nor grows old.
 */
export class Conflation {
  readonly #output: ConflationOutput;
  readonly #channels = new Map<string, ConflatedChannel>();
  readonly #windows: PhasedWindows<ConflatedAudience>;
  /** Subscriptions to the latest of a channel. Nobody else writes it. */
  subscriptions = 0;

  constructor(membership: Membership, output: ConflationOutput) {
    this.#output = output;
    this.#windows = new PhasedWindows(LATEST_INTERVALS_MS, (one) => this.#endWindow(one));
    membership.listen({
      onJoined: (connection, channel, everyMs) => {
        if (everyMs !== undefined) this.#join(connection, channel, everyMs, undefined);
      },
      onChanged: (connection, channel, everyMs) => this.#change(connection, channel, everyMs),
      onLeft: (connection, channel) => void this.#leave(connection, channel),
    });
  }

  /** Whether a client that has the latest of a channel was told this reference last. True if it does not have the latest. */
  wasTold(connection: Connection, channel: string, reference: WireReference | undefined): boolean {
    const member = this.#audienceOf(connection, channel)?.members.get(connection);
    return member === undefined || member.reference === reference;
  }

  /** The offset of the publication of a channel that is held back for a client; undefined if none is, or it has no offset. */
  heldBackOf(connection: Connection, channel: string): number | undefined {
    const audience = this.#audienceOf(connection, channel);
    const member = audience?.members.get(connection);
    if (audience === undefined || member === undefined || !isDue(audience, member))
      return undefined;
    return audience.channel.newest?.offset || undefined;
  }

  /** Takes a publication that has just been delivered to those who want all. Without {@link subscriptions} it does nothing. */
  addPublication(publication: Publication): void {
    const channel = this.#channels.get(publication.channel);
    if (channel === undefined) return;
    channel.published += 1;
    channel.newest = publication;
    for (const audience of channel.audiences.values()) {
      if (audience.laterGap !== undefined) {
        audience.earlierGap = joinGaps(audience.earlierGap, audience.laterGap);
        audience.laterGap = undefined;
      }
      if (!audience.windows.has(audience)) this.#beginWindow(audience);
      else if (audience.fresh.size > 0 && audience.earlierGap === undefined) {
        const fresh = [...audience.fresh];
        audience.fresh.clear();
        this.#offer(audience, fresh);
      }
    }
  }

  /** Takes a gap, and tells it in its place: at once, or when the window ends. */
  addGap(notice: GapNotice): void {
    for (const audience of this.#audiencesOf(notice.channel)) {
      audience.laterGap = joinGaps(audience.laterGap, notice);
      if (!audience.windows.has(audience)) this.#beginWindow(audience);
    }
  }

  /** Sends at once what is held back of a channel, because something follows that must not come before it. */
  sendHeldBack(name: string): void {
    for (const audience of this.#audiencesOf(name)) {
      if (this.#serve(audience, fits)) audience.windows.add(audience);
      for (const member of audience.owing) this.#tellOwed(audience, member);
    }
    const channel = this.#channels.get(name);
    if (channel !== undefined) channel.newest = undefined;
  }

  /** Ends the timers. */
  stop(): void {
    this.#windows.stop();
  }

  /** @param reference which it was told before, unless it is known. */
  #join(
    connection: Connection,
    name: string,
    everyMs: number,
    reference: WireReference | undefined,
    known?: Member,
  ): void {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = { name, audiences: new Map(), published: 0, newest: undefined };
      this.#channels.set(name, channel);
    }
    const windows = this.#windows.of(everyMs, connection.queueId);
    let audience = channel.audiences.get(windows);
    if (audience === undefined) {
      audience = {
        ...{ channel, windows, members: new Map(), fresh: new Set() },
        ...{ owing: new Set(), earlierGap: undefined, laterGap: undefined },
      };
      channel.audiences.set(windows, audience);
    }
    // The gaps that wait were before it.
    this.#flushGaps(audience);
    const member = known ?? {
      ...{ connection, seen: channel.published, sequence: 0 },
      ...{ reference, worth: new ReferenceWorth(), owed: undefined },
    };
    audience.members.set(connection, member);
    if (member.owed !== undefined) audience.owing.add(member);
    if (member.seen < channel.published) audience.windows.add(audience);
    else if (audience.windows.has(audience)) audience.fresh.add(member);
    this.subscriptions += 1;
  }

  #change(connection: Connection, name: string, everyMs: number | undefined): void {
    const audience = this.#audienceOf(connection, name);
    const member = audience?.members.get(connection);
    if (audience !== undefined && member !== undefined) {
      this.#flushGaps(audience);
      this.#offer(audience, [member], fits);
      const { newest } = audience.channel;
      const isRefused = newest !== undefined && isDue(audience, member);
      if (isRefused && everyMs === undefined) this.#output.tellRefused(newest, connection);
      if (!isRefused || everyMs === undefined) this.#tellOwed(audience, member);
    }
    const reference = this.#output.referenceFor(connection, name);
    if (everyMs === undefined && reference !== undefined && member?.reference !== reference) {
      this.#output.tellReference(connection, reference);
    }
    // The channel is kept while its member moves: it counts what the member has seen.
    if (everyMs !== undefined && connection.isOpen) {
      this.#join(connection, name, everyMs, reference, member);
    }
    if (audience !== undefined) this.#leaveAudience(connection, audience);
  }

  #leave(connection: Connection, name: string): void {
    const audience = this.#audienceOf(connection, name);
    if (audience !== undefined) this.#leaveAudience(connection, audience);
  }

  #leaveAudience(connection: Connection, audience: ConflatedAudience): void {
    const { channel, members, fresh, windows } = audience;
    const member = members.get(connection);
    if (member === undefined) return;
    members.delete(connection);
    fresh.delete(member);
    audience.owing.delete(member);
    this.subscriptions -= 1;
    if (members.size > 0) return;
    windows.remove(audience);
    channel.audiences.delete(windows);
    if (channel.audiences.size === 0) this.#channels.delete(channel.name);
  }

  /** Sends what is due, and then holds back what comes until the window ends. */
  #beginWindow(audience: ConflatedAudience): void {
    if (this.#serve(audience)) audience.windows.add(audience);
  }

  /** Sends what was held back. Returns whether what comes now must be held back again. */
  #endWindow(audience: ConflatedAudience): boolean {
    const wasActive = this.#serve(audience);
    const { channel } = audience;
    if (wasActive) return true;
    const others = [...channel.audiences.values()].filter((each) => each !== audience);
    if (!others.some((each) => each.windows.has(each))) channel.newest = undefined;
    return false;
  }

  /** Returns whether somebody was sent something, or is still owed it. */
  #serve(audience: ConflatedAudience, mayTake = isFree): boolean {
    const { earlierGap, laterGap, members, fresh, owing, channel } = audience;
    audience.earlierGap = undefined;
    audience.laterGap = undefined;
    fresh.clear();
    for (const member of owing) {
      if (member.owed !== undefined && member.owed.published < channel.published) {
        this.#tellOwed(audience, member);
      }
    }
    if (earlierGap !== undefined) this.#output.tellGap(earlierGap, [...members.keys()]);
    const wasDue = this.#offer(audience, members.values(), mayTake);
    for (const member of owing) if (!isDue(audience, member)) this.#tellOwed(audience, member);
    if (laterGap !== undefined) this.#tellBehind(audience, laterGap);
    return wasDue || earlierGap !== undefined || laterGap !== undefined;
  }

  /** Tells a gap behind the newest publication to all who have had that. It is owed to the others. */
  #tellBehind(audience: ConflatedAudience, notice: GapNotice): void {
    const { published } = audience.channel;
    const told: Connection[] = [];
    for (const member of audience.members.values()) {
      if (!isDue(audience, member)) {
        told.push(member.connection);
        continue;
      }
      if (member.owed !== undefined && member.owed.published < published) {
        this.#tellOwed(audience, member);
      }
      member.owed = { notice: joinGaps(member.owed?.notice, notice), published };
      audience.owing.add(member);
    }
    if (told.length > 0) this.#output.tellGap(notice, told);
  }

  /** Tells the gaps that wait for the window to all who are here, or owes it to them, so that whoever comes is told none of it. */
  #flushGaps(audience: ConflatedAudience): void {
    const { earlierGap, laterGap, members, owing, channel } = audience;
    audience.earlierGap = undefined;
    audience.laterGap = undefined;
    for (const member of owing) {
      if (member.owed !== undefined && member.owed.published < channel.published) {
        this.#tellOwed(audience, member);
      }
    }
    if (earlierGap !== undefined) this.#output.tellGap(earlierGap, [...members.keys()]);
    if (laterGap !== undefined) this.#tellBehind(audience, laterGap);
  }

  #tellOwed({ owing }: ConflatedAudience, member: Member): void {
    const { owed, connection } = member;
    owing.delete(member);
    member.owed = undefined;
    if (owed !== undefined) this.#output.tellGap(owed.notice, [connection]);
  }

  /**
   * Sends the newest publication to those of these members who have not had it and may take it. Returns whether any of them had
   * not had it.
   */
  #offer(audience: ConflatedAudience, members: Iterable<Member>, mayTake = isFree): boolean {
    const { newest, published } = audience.channel;
    if (newest === undefined) return false;
    const reference = neededBy(newest);
    const batches = new Map<string, Batch>();
    let batch: Batch | undefined;
    let group = -1;
    let wasDue = false;
    for (const member of members) {
      if (!isDue(audience, member)) continue;
      wasDue = true;
      const { connection } = member;
      if (!mayTake(member, newest)) continue;
      const lacks = reference !== undefined && member.reference !== reference;
      if (lacks && member.worth.count(newest, reference))
        this.#tellReference(audience, member, reference);
      if (!connection.isOpen) continue;
      const skipped = published - member.seen - 1;
      const isRaw = reference !== undefined && member.reference !== reference;
      // It reads nothing against the one before any more, which may be large.
      if (isRaw) member.reference = undefined;
      if (batch?.skipped !== skipped || group !== connection.group || batch.isRaw !== isRaw) {
        group = connection.group;
        const key = `${group}:${skipped}:${isRaw}`;
        batch = batches.get(key) ?? { skipped, isRaw, members: [], queueIds: [], owners: [] };
        batches.set(key, batch);
      }
      batch.members.push(connection);
      batch.queueIds.push(connection.queueId);
      batch.owners.push(member);
    }
    for (const each of batches.values()) {
      for (const member of each.owners) {
        member.seen = published;
        member.sequence = member.connection.outbox.lastSequence + 1;
      }
      this.#output.deliver(newest, each, each.skipped, each.isRaw);
    }
    return wasDue;
  }

  #tellReference({ channel }: ConflatedAudience, member: Member, reference: WireReference): void {
    const { connection } = member;
    if (this.#output.referenceFor(connection, channel.name) !== reference) return;
    member.reference = reference;
    this.#output.tellReference(connection, reference);
  }

  /** The audiences of a channel, apart from what changes while they are served. */
  #audiencesOf(channel: string): ConflatedAudience[] {
    return [...(this.#channels.get(channel)?.audiences.values() ?? [])];
  }

  #audienceOf(connection: Connection, channel: string): ConflatedAudience | undefined {
    for (const audience of this.#channels.get(channel)?.audiences.values() ?? []) {
      if (audience.members.has(connection)) return audience;
    }
    return undefined;
  }
}

/** The reference without which a client cannot read a publication as it is deflated. */
function neededBy({ deflated, wire }: Publication): WireReference | undefined {
  return deflated?.reference === wire?.reference?.id ? wire?.reference : undefined;
}

/** Whether a member must still be sent the newest publication. */
function isDue({ channel }: ConflatedAudience, { seen }: Member): boolean {
  return channel.newest !== undefined && seen !== channel.published;
}

/** Whether a publication would be queued for a member. */
function fits({ connection: { outbox } }: Member, { body }: Publication): boolean {
  return outbox.hasRoomFor(body.length + MOST_SKIPPED_BYTES);
}

/** Whether it would be, and what the member was sent last is gone or will be gone when the sockets are written to next. */
function isFree(member: Member, newest: Publication): boolean {
  const { outbox } = member.connection;
  return fits(member, newest) && !(outbox.blocked && outbox.mayHold(member.sequence));
}
