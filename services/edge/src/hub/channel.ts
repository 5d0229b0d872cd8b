import { readHeader } from '@tradewind/bus';
import type { Publication } from '@tradewind/fanout';
import { Gaps } from '@tradewind/fanout';
import type { ErrorCode, GapReason, Position } from '@tradewind/protocol';
import { type Acknowledgement, type FeedListener, nothingOf } from '../feed.ts';
import {
  ChannelSequence,
  FIRST_ACTION,
  type SequenceAction,
  type SequenceLimits,
} from '../sequence/channel-sequence.ts';
import type { HistoryPage, Message } from '../sequence/message.ts';
import type { HeaderFault, SequenceListener } from '../sequence/sequence-listener.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { type DropReason, takeIn } from './encode-publication.ts';
import { EndRequests } from './end-requests.ts';
import { HistoryRequests, type Past } from './history-requests.ts';

/** What is wrong with a message's header. */
export type HeaderRejection = HeaderFault | 'unknown_header' | 'bad_header';

/** What happens on a channel. */
export interface ChannelEvents {
  /** A payload that cannot be passed on. */
  dropped(channel: string, reason: DropReason): void;
  headerRejected(channel: string, reason: HeaderRejection): void;
  /** Publications that nobody on this node gets; undefined when nobody knows how many. */
  lost(channel: string, count: number | undefined, reason: GapReason): void;
  /** So many publications that the link had lost came from history. */
  repaired(channel: string, publications: number): void;
  /** The channel goes on in a new epoch, from this position. */
  resynced(channel: string, position: Position): void;
}

/** What all channels of a node share. */
export interface ChannelSetting {
  readonly sequence: SequenceLimits;
  /** The largest payload that is passed on, in bytes. */
  readonly maxPublicationBytes: number;
  readonly acknowledgements: Acknowledgements;
  readonly events: ChannelEvents;
}

/**
 * A channel that the node holds in Redis: who wants it here, how far it has come, and how what Redis
 * tells of it becomes what the workers are told.
 */
export class HubChannel implements SequenceListener {
  readonly name: string;
  /** The node's small number for it. */
  readonly ref: number;
  /**
   * `subscribing`: Redis has not confirmed it; `positioning`: it has, but where the channel stands is not
   * known yet; `live`: it flows; `lost`: it flowed, and has been cut off since.
   */
  state: 'subscribing' | 'positioning' | 'live' | 'lost' = 'subscribing';
  /** Which server, with which data, it was had from last; undefined if that is not known. */
  server: string | undefined;
  /** False when the node has let it go. */
  isHeld = true;
  /** When a message of it last arrived, in ms on the monotonic clock. */
  lastMessageAt = 0;
  /** See `UsableChannel`. */
  others = 0;
  readonly sequence: ChannelSequence;
  /** What the sequence returned last: {@link Recovery} sees to it. */
  action: SequenceAction = FIRST_ACTION;
  /** The workers with interest. */
  readonly listeners = new Set<FeedListener>();
  /** Those of them that are to be told first that the channel flows. */
  readonly unacknowledged = new Set<FeedListener>();
  /** What clients of the workers resume with. */
  readonly requests: HistoryRequests;
  /** What workers missed themselves. */
  readonly fillIns: HistoryRequests;
  readonly endRequests = new EndRequests();
  readonly #setting: ChannelSetting;

  constructor(name: string, ref: number, setting: ChannelSetting) {
    this.name = name;
    this.ref = ref;
    this.requests = new HistoryRequests(name);
    this.fillIns = new HistoryRequests(name);
    this.#setting = setting;
    this.sequence = new ChannelSequence(setting.sequence, this);
  }

  /** See `UsableChannel`. */
  get isUsed(): boolean {
    return this.lastMessageAt > 0 || this.sequence.position !== undefined;
  }

  /** Tells those who have not heard it that the channel flows; they are told what follows from here on. */
  acknowledge(): void {
    this.#setting.acknowledgements.add(this.unacknowledged, this.#acknowledgement);
    this.unacknowledged.clear();
  }

  /**
   * A message came from Redis. Returns what the sequence needs next.
   *
   * @param now ms on the monotonic clock.
   */
  receive(message: Buffer, now: number): SequenceAction {
    this.lastMessageAt = now;
    const header = readHeader(message, this.sequence.epoch);
    if (header.kind === 'plain') {
      const publishedAt = Date.now();
      return this.sequence.receive({ epoch: '', offset: 0, publishedAt, payload: message });
    }
    if (header.kind === 'sequenced') {
      const { epoch, offset, publishedAt, payloadAt } = header;
      const payload = message.subarray(payloadAt);
      return this.sequence.receive({ epoch, offset, publishedAt, payload });
    }
    this.#setting.events.headerRejected(this.name, header.kind);
    return this.action;
  }

  /**
   * What history holds of the channel, as workers are answered it: an entry that cannot be passed on, or
   * that is missing between others, is a gap in its place.
   *
   * @param from the first offset that is wanted. An entry before it shows that history reaches back so far.
   * @param until the last offset that the page speaks of.
   */
  pastOf({ publications }: HistoryPage, from: number, until: number): Past {
    const { maxPublicationBytes } = this.#setting;
    const taken: Publication[] = [];
    const gaps = new Gaps();
    let next: number | undefined;
    for (const message of publications) {
      const { offset } = message;
      if (offset < from) {
        next = from;
        continue;
      }
      gaps.add(next ?? offset, offset - 1, 'trimmed');
      const intake = takeIn(this.name, message, maxPublicationBytes);
      if (intake.ok) taken.push(intake.publication);
      else gaps.add(offset, offset, intake.reason);
      next = offset + 1;
    }
    if (next !== undefined) gaps.add(next, until, 'trimmed');
    return { publications: taken, gaps: gaps.all };
  }

  /** The end of the channel was looked at, and all up to it was passed on. */
  answerEndRequests(): void {
    this.#tellEnd(this.endRequests.takeAnswered(), undefined);
  }

  /** Where the channel ends cannot be told to whoever wants to know. */
  failEndRequests(code: ErrorCode): void {
    this.#tellEnd(this.endRequests.takeAll(), code);
  }

  // What the sequence tells.

  onReady(): void {
    this.state = 'live';
    this.acknowledge();
  }

  onPublication(message: Message): void {
    const { acknowledgements, maxPublicationBytes, events } = this.#setting;
    acknowledgements.tell();
    if (this.listeners.size === 0) return;
    const intake = takeIn(this.name, message, maxPublicationBytes);
    if (intake.ok) {
      for (const listener of this.listeners) listener.onPublication(intake.publication);
      return;
    }
    events.dropped(this.name, intake.reason);
    if (message.offset > 0) this.onGap(message.offset, message.offset, intake.reason);
  }

  onGap(from: number, to: number, reason: GapReason): void {
    const lost = to - from + 1;
    this.#setting.events.lost(this.name, lost, reason);
    this.#setting.acknowledgements.tell();
    const { epoch } = this.sequence;
    const notice = { channel: this.name, epoch, from, to, lost, reason };
    for (const listener of this.listeners) listener.onGap(notice);
  }

  onPlainLost(lost?: number): void {
    this.#setting.events.lost(this.name, lost, 'link');
    this.#setting.acknowledgements.tell();
    const count = lost === undefined ? {} : { lost };
    for (const listener of this.listeners) {
      listener.onGap({ channel: this.name, ...count, reason: 'link' });
    }
  }

  onResync(position: Position): void {
    this.#setting.events.resynced(this.name, position);
    this.requests.renew(position.offset);
    this.fillIns.renew(position.offset);
    this.#setting.acknowledgements.tell();
    for (const listener of this.listeners) listener.onResync({ channel: this.name, ...position });
  }

  onHeaderRejected(fault: HeaderFault): void {
    this.#setting.events.headerRejected(this.name, fault);
  }

  onRepaired(count: number): void {
    this.#setting.events.repaired(this.name, count);
  }

  get #acknowledgement(): Acknowledgement {
    const { name, ref } = this;
    const { position } = this.sequence;
    return position === undefined ? { channel: name, ref } : { channel: name, ref, position };
  }

  #tellEnd(listeners: readonly FeedListener[], code: ErrorCode | undefined): void {
    if (listeners.length === 0) return;
    this.#setting.acknowledgements.tell();
    const answer = nothingOf(this.name, this.sequence.epoch);
    for (const listener of listeners) {
      listener.onHistory(code === undefined ? answer : { ...answer, code });
    }
  }
}
