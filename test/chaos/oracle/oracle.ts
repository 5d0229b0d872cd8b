import type { Gap, Position, Resync, Subscribed, SubscribedChannel } from '@tradewind/protocol';
import { ChannelRecord, type Delivery, type Range } from './channel-record.ts';
import { ANY_NEWS, type Complaint, type ComplaintKind, type Expectation } from './complaint.ts';
import type { Ledger } from './ledger.ts';
import { type PublicationFrame, payloadNumber, type ServerFrame } from './server-frame.ts';

/** Complaints that are kept in full; all are counted. */
const MAX_COMPLAINTS = 50;

/** Deliveries that may wait for the publisher's answer: those of some seconds. */
const MAX_UNPROVEN = 100_000;

/**
 * Compares what one client received with the promise. It reads every frame in order, over all of the client's
 * connections, and complains about each breach: no duplicate, no reorder, and every offset either delivered or reported
 * as lost, once.
 */
export class Oracle {
  readonly client: string;
  readonly complaints: Complaint[] = [];
  /** The number of all complaints, including those that are not kept. */
  complaintCount = 0;
  /** Counts of what was received, for tests that need to see that something happened. */
  readonly counts = {
    publications: 0,
    gaps: 0,
    lost: 0,
    /** New epochs reported to a client that knew another one, by a `resync` or by the answer to a `since`. */
    epochs: 0,
    /** First epochs of channels that were subscribed to before their first publication. */
    beginnings: 0,
    recovered: 0,
    /** `recovered: false` within one epoch. */
    notRecovered: 0,
    replayed: 0,
    degraded: 0,
    restored: 0,
    connections: 0,
  };
  readonly #ledger: Ledger;
  readonly #channels = new Map<string, ChannelRecord>();
  #lastSeq = 0;
  /** Numbers skipped on this connection, minus those that a gap has reported. */
  #seqOwed = 0;
  #seqToldUnknown = false;

  constructor(client: string, ledger: Ledger) {
    this.client = client;
    this.#ledger = ledger;
  }

  /** A connection begins: `seq` starts again, and no channel is held. */
  connected(): void {
    this.counts.connections += 1;
    this.#lastSeq = 0;
    this.#seqOwed = 0;
    this.#seqToldUnknown = false;
    this.disconnected();
  }

  /** The connection has ended. */
  disconnected(): void {
    for (const record of this.#channels.values()) {
      record.held = false;
      record.asked = undefined;
      record.replay = undefined;
    }
  }

  /** The client requests a channel, from `since` on if it is given. */
  asked(channel: string, since?: Position, history?: number): void {
    this.#record(channel).asked = { since, history };
  }

  /** The position from which the client would resume; undefined if it knows no epoch of the channel. */
  position(channel: string): Position | undefined {
    return this.#channels.get(channel)?.position;
  }

  isHeld(channel: string): boolean {
    return this.#channels.get(channel)?.held === true;
  }

  /** Reads the next frame. */
  take(frame: ServerFrame): void {
    switch (frame.type) {
      case undefined:
        this.#publication(frame);
        break;
      case 'subscribed':
        this.#subscribed(frame);
        break;
      case 'unsubscribed':
        for (const channel of frame.channels) this.#record(channel).held = false;
        break;
      case 'gap':
        this.#gap(frame);
        break;
      case 'resync':
        this.#resync(frame);
        break;
      case 'degraded':
      case 'restored':
        this.counts[frame.type] += 1;
        break;
      default:
        break;
    }
  }

  /** Channels on which the client is not at Redis' position, or has not reached the publisher's. */
  behind(): readonly string[] {
    const late: string[] = [];
    for (const { name, position } of this.#channels.values()) {
      const head = this.#ledger.head(name);
      if (head === undefined) continue;
      if (position?.epoch !== head.epoch || position.offset < head.offset) late.push(name);
    }
    return late;
  }

  /**
   * The last check, after everything has settled. It complains about undelivered publications, about reports of
   * publications that do not exist, and about more losses than expected. Do not feed it afterwards.
   */
  finish(expected: Expectation = ANY_NEWS): readonly Complaint[] {
    for (const channel of this.behind()) {
      const { epoch, offset } = this.#ledger.head(channel)!;
      const at = describe(this.#record(channel).position);
      this.#complain('missing', channel, `the client is at ${at}, the last is ${epoch}/${offset}`);
    }
    for (const record of this.#channels.values()) {
      this.#prove(record, true);
      this.#checkEnd(record);
      this.#checkNews(record, expected);
    }
    if (this.#seqOwed > 0 && !this.#seqToldUnknown)
      this.#complain('bad-seq', '', `${this.#seqOwed} numbers were skipped and not reported`);
    return this.complaints;
  }

  #checkEnd(record: ChannelRecord): void {
    const { name, replay, gaps, position } = record;
    const tail = this.#ledger.tail(name);
    if (tail !== undefined && position?.epoch === tail.epoch && position.offset > tail.offset)
      this.#complain('beyond', name, `it is at ${describe(position)}, Redis at ${describe(tail)}`);
    if (replay !== undefined && replay.left > 0)
      this.#complain(
        'bad-answer',
        name,
        `${replay.left} announced as replayed were never received`,
      );
    if (this.#ledger.hasUncertain(name)) return;
    for (const { epoch, from, to } of gaps) {
      if (this.#ledger.knowsEpoch(name, epoch) && to > this.#ledger.last(name, epoch))
        this.#complain('bad-gap', name, `${epoch}/${from} to ${to}, which nobody published`);
    }
  }

  #checkNews({ name, badNews, epochsTold }: ChannelRecord, { lost, epochs }: Expectation): void {
    if (lost === 'nothing')
      for (const { kind, detail } of badNews) this.#complain(kind, name, detail);
    const wanted = typeof epochs === 'function' ? epochs(name) : epochs;
    if (wanted !== 'any' && epochsTold !== wanted)
      this.#complain('epochs-told', name, `${epochsTold} instead of ${wanted}`);
  }

  #publication(frame: PublicationFrame): void {
    const { seq, channel, offset, data } = frame;
    const record = this.#record(channel);
    this.counts.publications += 1;
    this.#checkSeq(seq, channel);
    if (!record.held) this.#complain('not-subscribed', channel, `seq ${seq} of no subscription`);
    this.#checkNumber(record, data, offset);
    if (offset === undefined) {
      record.plain += 1;
      return;
    }
    const { position } = record;
    if (position === undefined) {
      this.#complain('bad-answer', channel, `offset ${offset} before any epoch was reported`);
      return;
    }
    const { epoch } = position;
    if (offset <= position.offset) {
      this.#again(record, epoch, offset);
      return;
    }
    if (offset > position.offset + 1) this.#hole(record, epoch, position.offset + 1, offset - 1);
    record.position = { epoch, offset };
    this.#countReplay(record, offset);
    record.unproven.push({ run: record.run, position: record.position, payload: data });
    if (record.unproven.length > MAX_UNPROVEN) throw new Error(`${channel}: nothing is answered`);
    this.#prove(record, false);
  }

  #checkSeq(seq: number, channel: string): void {
    if (seq <= this.#lastSeq) {
      this.#complain('bad-seq', channel, `${seq} after ${this.#lastSeq}`);
      return;
    }
    this.#seqOwed += seq - this.#lastSeq - 1;
    this.#lastSeq = seq;
  }

  /** The publisher numbers its publications on a channel, so a number that is not new is a duplicate. */
  #checkNumber(record: ChannelRecord, data: string, offset: number | undefined): void {
    const number = payloadNumber(data);
    if (number === undefined) return;
    if (number <= record.number)
      this.#complain('duplicate', record.name, `number ${number} after ${record.number}`);
    else if (offset === undefined && record.plain > 0) {
      const missed = number - record.number - 1;
      if (missed > record.plainTold)
        this.#complain('silent-hole', record.name, `${missed} missing before number ${number}`);
    }
    if (offset === undefined) record.plainTold = 0;
    record.number = Math.max(record.number, number);
  }

  #again(record: ChannelRecord, epoch: string, offset: number): void {
    const includes = (range: Range): boolean =>
      range.epoch === epoch && range.from <= offset && offset <= range.to;
    const at = `${epoch}/${offset}, it is at ${record.position?.offset}`;
    if (record.gaps.some(includes))
      this.#complain('reorder', record.name, `reported as lost: ${at}`);
    else if (record.holes.some(includes) || offset <= record.begin)
      this.#complain('reorder', record.name, at);
    else this.#complain('duplicate', record.name, at);
  }

  #hole(record: ChannelRecord, epoch: string, from: number, to: number): void {
    record.holes.push({ epoch, from, to });
    this.#complain('silent-hole', record.name, `${epoch}/${from} to ${to}`);
  }

  #countReplay(record: ChannelRecord, offset: number): void {
    const { replay } = record;
    if (replay === undefined) return;
    if (offset <= replay.upTo) {
      replay.left -= 1;
      this.counts.replayed += 1;
      if (replay.left >= 0) return;
    } else if (replay.left === 0) {
      record.replay = undefined;
      return;
    }
    const direction = replay.left < 0 ? 'more than' : `${replay.left} fewer than`;
    this.#complain('bad-answer', record.name, `${direction} announced were replayed`);
    record.replay = undefined;
  }

  /** Compares deliveries with the publisher's answers, which may arrive later. */
  #prove(record: ChannelRecord, last: boolean): void {
    const { name, unproven } = record;
    let proven = 0;
    for (const delivery of unproven) {
      const { position, payload } = delivery;
      const lives = this.#ledger.livesWith(name, position, payload);
      if (lives.length === 0 && this.#ledger.wasTakenOver(name, position, payload)) {
        record.lastProven = undefined;
      } else if (lives.length === 0) {
        const answered = this.#ledger.knows(name, position);
        if (!last && !answered) break;
        this.#unproven(name, delivery, answered);
      } else {
        this.#checkLife(record, delivery, lives);
        record.lastProven = delivery;
      }
      proven += 1;
    }
    unproven.splice(0, proven);
  }

  #unproven(channel: string, { position, payload }: Delivery, answered: boolean): void {
    if (this.#ledger.isUncertain(channel, payload)) return;
    const kind = answered ? 'wrong-payload' : 'unknown-publication';
    this.#complain(kind, channel, `${describe(position)} is ${payload.slice(0, 80)}`);
  }

  /**
   * Two consecutive deliveries must belong to one life of the epoch. Otherwise the loss between them was never
   * reported.
   */
  #checkLife(record: ChannelRecord, { run, position }: Delivery, lives: readonly number[]): void {
    const before = record.lastProven;
    if (before === undefined || before.run !== run) return;
    const livesBefore = this.#ledger.livesWith(record.name, before.position, before.payload);
    if (lives.some((life) => livesBefore.includes(life))) return;
    const crossing = `${describe(before.position)} and ${describe(position)}`;
    this.#complain(
      'silent-hole',
      record.name,
      `a failover lies between ${crossing}, without a report`,
    );
  }

  #gap(gap: Gap): void {
    const { channel, epoch, from, to, lost } = gap;
    const record = this.#record(channel);
    this.counts.gaps += 1;
    this.counts.lost += lost ?? 0;
    if (lost === undefined) this.#seqToldUnknown = true;
    // May become negative: a gap can arrive before the number that it explains, and a lost link has no number.
    else this.#seqOwed -= lost;
    record.plainTold += lost ?? Number.POSITIVE_INFINITY;
    this.#hearBadNews(record, 'told-lost', gap);
    if (!record.held) this.#complain('not-subscribed', channel, `a gap: ${JSON.stringify(gap)}`);
    if (from === undefined || to === undefined) return;
    const { position } = record;
    const wrong = (why: string): void =>
      this.#complain('bad-gap', channel, `${why}: ${JSON.stringify(gap)} at ${describe(position)}`);
    if (position === undefined || epoch !== position.epoch) {
      wrong('of another epoch');
      return;
    }
    if (to < from || (lost !== undefined && lost !== to - from + 1)) {
      wrong('miscounts');
      return;
    }
    if (from <= position.offset) {
      wrong('spans what was delivered or told before');
      return;
    }
    if (from > position.offset + 1) this.#hole(record, epoch, position.offset + 1, from - 1);
    record.gaps.push({ epoch, from, to });
    record.position = { epoch, offset: to };
    this.#skipReplay(record, from, to);
  }

  /** A loss within a replay may count among the announced publications or not; both are correct. */
  #skipReplay(record: ChannelRecord, from: number, to: number): void {
    const { replay } = record;
    if (replay === undefined || from > replay.upTo) return;
    replay.left = Math.min(replay.left, Math.max(0, replay.upTo - to));
  }

  #resync({ channel, epoch, offset, reason }: Resync): void {
    const record = this.#record(channel);
    const isStart = !record.isToldEpoch && offset === 0;
    if (isStart !== (reason === 'started'))
      this.#complain('bad-resync', channel, `${reason} with ${epoch}/${offset}`);
    record.isToldEpoch = true;
    if (record.position === undefined) this.counts.beginnings += 1;
    else this.#hearOfEpoch(record);
    if (!record.held) this.#complain('not-subscribed', channel, `a resync to ${epoch}`);
    if (record.position?.epoch === epoch || record.pastEpochs.has(epoch))
      this.#complain('bad-resync', channel, `${epoch} is no new epoch`);
    this.#begin(record, { epoch, offset });
  }

  #subscribed({ channels, rejected }: Subscribed): void {
    for (const answer of channels) this.#answered(answer);
    for (const { channel } of rejected ?? []) this.#record(channel).asked = undefined;
  }

  #answered(answer: SubscribedChannel): void {
    const { channel, epoch, offset, recovered } = answer;
    const record = this.#record(channel);
    const asked = record.asked;
    record.asked = undefined;
    if (record.held) return;
    record.held = true;
    record.isToldEpoch = epoch !== undefined;
    if (epoch === undefined || offset === undefined) {
      if (asked?.since !== undefined && recovered !== false)
        this.#complain('bad-answer', channel, 'neither position nor recovered:false to a since');
      return;
    }
    const now = { epoch, offset };
    if (asked?.since !== undefined) this.#resumed(record, asked.since, answer, now);
    else this.#joined(record, now, answer.replayed ?? 0);
  }

  #resumed(record: ChannelRecord, since: Position, answer: SubscribedChannel, now: Position): void {
    const { recovered, replayed = 0, reason } = answer;
    const told = `${JSON.stringify(answer)} to a since of ${describe(since)}`;
    if (recovered === true) {
      this.counts.recovered += 1;
      if (now.epoch !== since.epoch || now.offset < since.offset) {
        this.#complain('bad-answer', record.name, told);
        this.#begin(record, now);
        return;
      }
      if (replayed !== now.offset - since.offset) this.#complain('bad-answer', record.name, told);
      const { position } = record;
      if (position?.epoch !== since.epoch || position.offset !== since.offset) {
        this.#begin(record, since);
        record.number = 0;
      }
      record.replay = { left: replayed, upTo: now.offset };
      return;
    }
    if (now.epoch === since.epoch) {
      this.counts.notRecovered += 1;
      this.#hearBadNews(record, 'not-recovered', answer);
    } else this.#hearOfEpoch(record);
    if (recovered === undefined || reason === undefined)
      this.#complain('bad-answer', record.name, told);
    this.#begin(record, { epoch: now.epoch, offset: now.offset - replayed });
    record.replay = { left: replayed, upTo: now.offset };
    record.number = 0;
  }

  /** Without `since`, publications during the client's absence are reported by nobody. */
  #joined(record: ChannelRecord, now: Position, replayed: number): void {
    const { position } = record;
    if (position?.epoch === now.epoch && now.offset - replayed > position.offset)
      this.#hole(record, now.epoch, position.offset + 1, now.offset - replayed);
    this.#begin(record, { epoch: now.epoch, offset: now.offset - replayed });
    record.replay = { left: replayed, upTo: now.offset };
  }

  #hearOfEpoch(record: ChannelRecord): void {
    this.counts.epochs += 1;
    record.epochsTold += 1;
  }

  #hearBadNews(record: ChannelRecord, kind: ComplaintKind, frame: object): void {
    if (record.badNews.length < MAX_COMPLAINTS)
      record.badNews.push({ kind, detail: JSON.stringify(frame) });
  }

  #begin(record: ChannelRecord, position: Position): void {
    if (record.position !== undefined && record.position.epoch !== position.epoch)
      record.pastEpochs.add(record.position.epoch);
    record.position = position;
    record.begin = position.offset;
    record.replay = undefined;
    record.run += 1;
  }

  #record(channel: string): ChannelRecord {
    let record = this.#channels.get(channel);
    if (record === undefined) {
      record = new ChannelRecord(channel);
      this.#channels.set(channel, record);
    }
    return record;
  }

  #complain(kind: ComplaintKind, channel: string, detail: string): void {
    this.complaintCount += 1;
    if (this.complaints.length >= MAX_COMPLAINTS) return;
    this.complaints.push({ kind, client: this.client, channel, detail });
  }
}

function describe(position: Position | undefined): string {
  return position === undefined ? 'no position' : `${position.epoch}/${position.offset}`;
}
