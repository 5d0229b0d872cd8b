import { readHeader } from '@tradewind/bus';
import type { Publication } from '@tradewind/fanout';
import { Gaps } from '@tradewind/fanout';
import type { ErrorCode, GapReason, Position, UndeliverableReason } from '@tradewind/protocol';
import type { Acknowledgement, FeedListener } from '../feed.ts';
import { ChannelSequence, type SequenceLimits } from '../sequence/channel-sequence.ts';
import type { HistoryPage, Message } from '../sequence/message.ts';
import { FIRST_ACTION, type SequenceAction } from '../sequence/sequence-action.ts';
import type { HeaderFault, SequenceListener } from '../sequence/sequence-listener.ts';
import {
  type Acknowledgements,
  ChannelWaiters,
  type EncodedHistory,
  type OnEndConfirmed,
} from './channel-waiters.ts';
import { encodePublication } from './encode-publication.ts';

/** What is wrong with a message's header. */
export type HeaderRejection = HeaderFault | 'unknown_header' | 'bad_header';

/** Reports what happens on a channel. */
export interface ChannelEvents {
  /** A payload cannot be delivered. */
  dropped(channel: string, reason: UndeliverableReason): void;
  headerRejected(channel: string, reason: HeaderRejection): void;
  /** Nobody on this node gets these publications. `count` is undefined when nobody knows how many there are. */
  lost(channel: string, count: number | undefined, reason: GapReason): void;
  /** Publications that the link had lost came from history. */
  repaired(channel: string, publications: number): void;
  /** The channel continues in a new epoch, from this position. */
  resynced(channel: string, position: Position): void;
}

/** What all channels of a node share. */
export interface ChannelContext {
  readonly sequence: SequenceLimits;
  /** The largest payload that is delivered, in bytes. */
  readonly maxPublicationBytes: number;
  readonly acknowledgements: Acknowledgements;
  readonly events: ChannelEvents;
}

/**
 * A channel that the node is subscribed to in Redis: which workers want it, how far it was delivered, and what they are
 * told of it.
 */
export class HubChannel implements SequenceListener {
  readonly name: string;
  /** The node's small number for it. */
  readonly ref: number;
  /**
   * - `subscribing`: Redis has not confirmed the subscription.
   * - `positioning`: Redis has, but the channel's position is not known yet.
   * - `live`: publications are delivered.
   * - `lost`: they were, until the link was lost.
   */
  state: 'subscribing' | 'positioning' | 'live' | 'lost' = 'subscribing';
  /** See `LinkedChannel`. */
  server: string | undefined;
  /** False once the node has let it go. */
  isHeld = true;
  /** When a message of it last arrived, in ms on the monotonic clock. */
  lastMessageAt = 0;
  /** See `UsableChannel`. */
  others = 0;
  readonly sequence: ChannelSequence;
  /** What the sequence returned last: {@link Recovery} sees to it. */
  action: SequenceAction = FIRST_ACTION;
  /** The workers that want it. */
  readonly listeners = new Set<FeedListener>();
  /** Those of them that wait for something. */
  readonly waiters: ChannelWaiters;
  readonly #context: ChannelContext;

  constructor(name: string, ref: number, context: ChannelContext) {
    this.name = name;
    this.ref = ref;
    this.waiters = new ChannelWaiters(name);
    this.#context = context;
    this.sequence = new ChannelSequence(context.sequence, this);
  }

  /** See `UsableChannel`. */
  get isUsed(): boolean {
    return this.lastMessageAt > 0 || this.sequence.position !== undefined;
  }

  /** Tells the workers that were not told yet that the channel is live. They hear what follows from here on. */
  acknowledge(): void {
    const { unacknowledged } = this.waiters;
    this.#context.acknowledgements.add(unacknowledged, this.#acknowledgement);
    unacknowledged.clear();
  }

  /**
   * Takes a message from Redis. Returns what the sequence needs next.
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
    this.#context.events.headerRejected(this.name, header.kind);
    return this.action;
  }

  /**
   * Encodes a page of history. An entry that cannot be delivered, or that is missing between others, becomes a gap in its
   * place.
   *
   * @param from the first offset that was asked for. An entry before it shows that history reaches back so far.
   * @param until the last offset that the page speaks of, inclusive.
   */
  encodeHistory({ publications }: HistoryPage, from: number, until: number): EncodedHistory {
    const { maxPublicationBytes } = this.#context;
    const encoded: Publication[] = [];
    const gaps = new Gaps();
    let next: number | undefined;
    for (const message of publications) {
      const { offset } = message;
      if (offset < from) {
        next = from;
        continue;
      }
      gaps.add(next ?? offset, offset - 1, 'trimmed');
      const result = encodePublication(this.name, message, maxPublicationBytes);
      if (result.ok) encoded.push(result.publication);
      else gaps.add(offset, offset, result.reason);
      next = offset + 1;
    }
    if (next !== undefined) gaps.add(next, until, 'trimmed');
    return { publications: encoded, gaps: gaps.all };
  }

  /** Answers the workers that asked for the channel's end, now that everything up to it was delivered. */
  answerEndRequests(): void {
    this.#answerEnd(this.waiters.endRequests.takeAnswered(), undefined);
  }

  /** Tells the workers that asked for the channel's end that it cannot be read. */
  failEndRequests(code: ErrorCode): void {
    this.#answerEnd(this.waiters.endRequests.takeAll(), code);
  }

  // The sequence's listener.

  onReady(): void {
    this.state = 'live';
    this.acknowledge();
  }

  onPublication(message: Message): void {
    const { acknowledgements, maxPublicationBytes, events } = this.#context;
    acknowledgements.send();
    if (this.listeners.size === 0) return;
    const result = encodePublication(this.name, message, maxPublicationBytes);
    if (result.ok) {
      for (const listener of this.listeners) listener.onPublication(result.publication);
      return;
    }
    events.dropped(this.name, result.reason);
    if (message.offset > 0) this.onGap(message.offset, message.offset, result.reason);
  }

  onGap(from: number, to: number, reason: GapReason): void {
    const lost = to - from + 1;
    this.#context.events.lost(this.name, lost, reason);
    this.#context.acknowledgements.send();
    const { epoch } = this.sequence;
    const notice = { channel: this.name, epoch, from, to, lost, reason };
    for (const listener of this.listeners) listener.onGap(notice);
  }

  onPlainLost(lost?: number): void {
    this.#context.events.lost(this.name, lost, 'link');
    this.#context.acknowledgements.send();
    const count = lost === undefined ? {} : { lost };
    for (const listener of this.listeners) {
      listener.onGap({ channel: this.name, ...count, reason: 'link' });
    }
  }

  onResync(position: Position): void {
    this.#context.events.resynced(this.name, position);
    this.waiters.enterEpoch(position.offset);
    this.#context.acknowledgements.send();
    for (const listener of this.listeners) listener.onResync({ channel: this.name, ...position });
  }

  onHeaderRejected(fault: HeaderFault): void {
    this.#context.events.headerRejected(this.name, fault);
  }

  onRepaired(count: number): void {
    this.#context.events.repaired(this.name, count);
  }

  get #acknowledgement(): Acknowledgement {
    const { name, ref } = this;
    const { position } = this.sequence;
    return position === undefined ? { channel: name, ref } : { channel: name, ref, position };
  }

  #answerEnd(requests: readonly OnEndConfirmed[], code: ErrorCode | undefined): void {
    if (requests.length === 0) return;
    this.#context.acknowledgements.send();
    for (const onConfirmed of requests) onConfirmed(code);
  }
}
