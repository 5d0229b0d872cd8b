import type { Audience, Publication, WireReference } from '@tradewind/fanout';
import { LATEST_INTERVALS_MS } from '@tradewind/protocol';
import type { GapNotice } from '../../feed.ts';
import type { Connection } from '../connection/connection.ts';
import { joinGaps } from '../connection/loss-notices.ts';
import type { Membership } from './membership.ts';
import { PhasedWindows } from './phased-windows.ts';
import { ReferenceWorth } from './reference-worth.ts';
import type { SharedWindows } from './shared-windows.ts';

/** The most bytes that `"skipped":n,` takes in a publication. */
const MOST_SKIPPED_BYTES = 28;

/** Puts what is due into the queues of clients; {@link Conflation} decides what and when. */
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
  /** The reference that clients with all of a channel were told last. Undefined if there is none, or if this client is told none. */
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
  /** How many publications its channel had had by the last one that it was sent, or when it joined. */
  seen: number;
  /** The `seq` of the publication that it was sent last; 0 before the first. */
  sequence: number;
  /** The reference of the channel that it was told last. Undefined before the first, and once a newer reference made it read raw. */
  reference: WireReference | undefined;
  readonly worth: ReferenceWorth;
  /** A gap behind a publication that found no room in its queue. It is told once that publication, or a newer one, was queued. */
  owed: OwedGap | undefined;
}

interface OwedGap {
  readonly notice: GapNotice;
  /** How many publications its channel had had before the gap. */
  readonly published: number;
}

/** The members that have the latest of one channel in the same windows: those of one interval and one phase. */
interface ConflatedAudience {
  readonly channel: ConflatedChannel;
  readonly windows: SharedWindows<ConflatedAudience>;
  readonly members: Map<Connection, Member>;
  /** The members that joined since the present window began. They are sent the next publication at once, as the others were. */
  readonly fresh: Set<Member>;
  /** The members that are owed a gap. */
  readonly owing: Set<Member>;
  /** Gaps that are told when the window ends: one before the newest publication, and one behind it. */
  earlierGap: GapNotice | undefined;
  laterGap: GapNotice | undefined;
}

/** A channel of which at least one client has the latest. */
interface ConflatedChannel {
  readonly name: string;
  readonly audiences: Map<SharedWindows<ConflatedAudience>, ConflatedAudience>;
  /** How many publications it has had since the first client wanted the latest. */
  published: number;
  /** The newest publication, kept while a member may have to be sent it. Undefined once the channel was refused or began a new epoch. */
  newest: Publication | undefined;
}

/** Members that are sent the same bytes. */
interface Batch extends Audience<Connection> {
  readonly skipped: number;
  readonly isRaw: boolean;
  readonly members: Connection[];
  readonly queueIds: number[];
  readonly owners: Member[];
}

/**
 * Sends the latest of channels to the clients that want only that: at most one publication in each window, which is as long as
 * their interval. The first publication after an idle window is sent at once. Those that follow within a window are held back, and
 * the newest of them is sent when the window ends. So a value waits for one interval at most, an idle channel causes no
 * work, and the cost depends on the interval and not on the number of publications.
 *
 * A client is sent nothing more of the channel until its socket has taken the publication before. Then the next window brings
 * it the newest one. So its queue holds one or two publications of the channel, and neither overflows nor grows old.
 */
export class Conflation {
  readonly #output: ConflationOutput;
  readonly #channels = new Map<string, ConflatedChannel>();
  readonly #windows: PhasedWindows<ConflatedAudience>;
  /** The number of subscriptions to the latest of a channel. For others it is read-only. */
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

  /** Whether this is the last reference that a client was told which has the latest of a channel. True if it has not the latest. */
  wasTold(connection: Connection, channel: string, reference: WireReference | undefined): boolean {
    const member = this.#audienceOf(connection, channel)?.members.get(connection);
    return member === undefined || member.reference === reference;
  }

  /** The offset of the publication of a channel that is held back for a client; undefined if there is none, or if it has no offset. */
  heldBackOf(connection: Connection, channel: string): number | undefined {
    const audience = this.#audienceOf(connection, channel);
    const member = audience?.members.get(connection);
    if (audience === undefined || member === undefined || !isDue(audience, member))
      return undefined;
    return audience.channel.newest?.offset || undefined;
  }

  /** Sends or holds back a publication that was just delivered to the clients that have all of its channel. */
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

  /** Tells a gap in its place among the publications: at once, or when the window ends. */
  addGap(notice: GapNotice): void {
    for (const audience of this.#audiencesOf(notice.channel)) {
      audience.laterGap = joinGaps(audience.laterGap, notice);
      if (!audience.windows.has(audience)) this.#beginWindow(audience);
    }
  }

  /** Sends at once what is held back of a channel, because a refusal or a new epoch follows. */
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

  /**
   * @param reference the one that a new member was told before; ignored if `known` is given.
   * @param known a member that moves here from other windows.
   */
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
    // The gaps that wait happened before the member joined.
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
    // The member joins before it leaves, so that the channel is kept, with the count of what the member has seen.
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

  /** Sends what is due, and begins a window if anything was. */
  #beginWindow(audience: ConflatedAudience): void {
    if (this.#serve(audience)) audience.windows.add(audience);
  }

  /** Sends what was held back. Returns whether another window must follow. */
  #endWindow(audience: ConflatedAudience): boolean {
    const wasActive = this.#serve(audience);
    const { channel } = audience;
    if (wasActive) return true;
    const others = [...channel.audiences.values()].filter((each) => each !== audience);
    if (!others.some((each) => each.windows.has(each))) channel.newest = undefined;
    return false;
  }

  /** Sends what is due to all members. Returns whether anything was due. */
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

  /** Tells a gap behind the newest publication to the members that were sent that. The others are owed it. */
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

  /** Tells the gaps that wait for the window to the present members, or records them as owed, so that a new member is told none. */
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
   * Sends the newest publication to those of these members that are due it and may take it. Returns whether it was due to any.
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
      // The member needs its old reference no more, which may be large.
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

  /** The audiences of a channel, as a copy, because they change while they are served. */
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

/** Whether a publication would be queued, and the one before it was written or will be with the next flush. */
function isFree(member: Member, newest: Publication): boolean {
  const { outbox } = member.connection;
  return fits(member, newest) && !(outbox.blocked && outbox.mayHold(member.sequence));
}
