import { readHeader } from '@tradewind/bus';
import { Gaps, type Publication, type WireChannel } from '@tradewind/fanout';
import type { ErrorCode, GapReason, Position, UndeliverableReason } from '@tradewind/protocol';
import { type Acknowledgement, type FeedListener, wireReference } from '../feed.ts';
import { ChannelSequence, type SequenceLimits } from '../sequence/channel-sequence.ts';
import type { HistoryPage, Message } from '../sequence/message.ts';
import { FIRST_ACTION, type SequenceAction } from '../sequence/sequence-action.ts';
import type { HeaderFault, SequenceListener } from '../sequence/sequence-listener.ts';
import { ChannelReferences } from './channel-references.ts';
import {
  type Acknowledgements,
  ChannelWaiters,
  type EncodedHistory,
  type OnEndConfirmed,
} from './channel-waiters.ts';
import { encodePublication } from './encode-publication.ts';
import type { PayloadDeflater } from './payload-deflater.ts';

/** What is wrong with a message's header. */
export type HeaderRejection = HeaderFault | 'unknown_header' | 'bad_header';

/** Reports what happens on a channel. */
export interface ChannelEvents {
  /** A payload cannot be delivered. */
  dropped(channel: string, reason: UndeliverableReason): void;
  headerRejected(channel: string, reason: HeaderRejection): void;
  /** No client of this node gets these publications. `count` is undefined if their number is unknown. */
  lost(channel: string, count: number | undefined, reason: GapReason): void;
  /** Publications that the link had lost were read from history. */
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
  readonly deflater: PayloadDeflater;
  readonly events: ChannelEvents;
}

/**
 * A channel that the node is subscribed to in Redis: which workers want it, how far it was delivered to them, and what they
 * are told of it.
 */
export class HubChannel implements SequenceListener {
  readonly name: string;
  /** What binary publications refer to. Its `reference` is the latest one, which all workers that want deflated publications were told. */
  readonly wire: WireChannel;
  /**
   * - `subscribing`: Redis has not confirmed the subscription.
   * - `positioning`: Redis has confirmed it, but the channel's position is not known yet.
   * - `live`: publications are delivered.
   * - `lost`: publications were delivered until the link was lost.
   */
  state: 'subscribing' | 'positioning' | 'live' | 'lost' = 'subscribing';
  /** See `LinkedChannel`. */
  server: string | undefined;
  /** See `RoutedChannel`. */
  link: string | undefined;
  /** False once the node has released it. */
  isHeld = true;
  /** When a message of it last arrived, in ms on the monotonic clock. */
  lastMessageAt = 0;
  /** See `UsableChannel`. */
  others = 0;
  readonly sequence: ChannelSequence;
  /** What the sequence returned last. `Recovery` carries it out. */
  action: SequenceAction = FIRST_ACTION;
  /** The workers that want it. */
  readonly listeners = new Set<FeedListener>();
  /** The workers that wait for an answer. */
  readonly waiters: ChannelWaiters;
  /** The workers that want publications deflated. */
  readonly #binaryListeners = new Set<FeedListener>();
  /** Undefined while no worker wants publications deflated. */
  #references: ChannelReferences | undefined;
  /** The `id` of the latest reference. It is kept when references are dropped, so that no two of the channel have the same. */
  #lastReference = 0;
  readonly #context: ChannelContext;

  constructor(name: string, ref: number, context: ChannelContext) {
    this.name = name;
    this.wire = { ref, ts: Date.now(), reference: undefined };
    this.waiters = new ChannelWaiters(name);
    this.#context = context;
    this.sequence = new ChannelSequence(context.sequence, this);
  }

  /** See `UsableChannel`. */
  get isUsed(): boolean {
    return this.lastMessageAt > 0 || this.sequence.position !== undefined;
  }

  /** The position up to which everything was delivered or told as lost; undefined while the channel has no offsets. */
  get position(): Position | undefined {
    return this.sequence.position;
  }

  /** Acknowledges the channel to the workers that were not told yet. They hear everything that follows. */
  acknowledge(): void {
    const { unacknowledged } = this.waiters;
    this.#context.acknowledgements.add(unacknowledged, this.#acknowledgement);
    unacknowledged.clear();
  }

  /** See `Feed.wantDeflated`. Does nothing for a listener that does not want the channel. */
  wantDeflated(listener: FeedListener, isWanted: boolean): void {
    if (!isWanted) this.#dropDeflated(listener);
    if (!isWanted || !this.listeners.has(listener)) return;
    this.#binaryListeners.add(listener);
    this.#references ??= new ChannelReferences(this.#context.deflater, this.#lastReference);
    if (this.wire.reference === undefined) return;
    queueMicrotask(() => {
      if (this.#binaryListeners.has(listener)) listener.onReference(this.name, this.wire);
    });
  }

  /** Removes a worker that no longer wants the channel. Returns false if it did not want it. */
  drop(listener: FeedListener): boolean {
    this.waiters.drop(listener);
    this.#dropDeflated(listener);
    return this.listeners.delete(listener);
  }

  /**
   * Reads the header of a message from Redis and passes the message to the sequence. Returns what must be done next.
   *
   * @param now ms on the monotonic clock.
   */
  readMessage(message: Buffer, now: number): SequenceAction {
    this.lastMessageAt = now;
    const header = readHeader(message, this.sequence.epoch);
    if (header.kind === 'plain') {
      const publishedAt = Date.now();
      return this.sequence.deliverOrHold({ epoch: '', offset: 0, publishedAt, payload: message });
    }
    if (header.kind === 'sequenced') {
      const { epoch, offset, publishedAt, payloadAt } = header;
      const payload = message.subarray(payloadAt);
      return this.sequence.deliverOrHold({ epoch, offset, publishedAt, payload });
    }
    this.#context.events.headerRejected(this.name, header.kind);
    return this.action;
  }

  /**
   * Encodes a page of history. An entry that cannot be delivered, or that is missing between others, becomes a gap in the order
   * of the offsets.
   *
   * @param from the first offset that was requested. An entry before it shows that history begins no later.
   * @param until the last offset that the page covers, inclusive.
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
      const result = encodePublication(this.name, message, maxPublicationBytes, this.wire);
      if (result.ok) encoded.push(result.publication);
      else gaps.add(offset, offset, result.reason);
      next = offset + 1;
    }
    if (next !== undefined) gaps.add(next, until, 'trimmed');
    return { publications: encoded, gaps: gaps.all };
  }

  /** Answers the workers that requested the channel's end. Everything up to it must have been delivered. */
  answerEndRequests(): void {
    this.#answerEnd(this.waiters.endRequests.takeAnswered(), undefined);
  }

  /** Tells the workers that requested the channel's end that it cannot be read. */
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
    if (acknowledgements.hasUnsent) acknowledgements.send();
    if (this.listeners.size === 0) return;
    const result = encodePublication(this.name, message, maxPublicationBytes, this.wire);
    if (result.ok) {
      this.#publish(result.publication, result.payload);
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

  #publish(publication: Publication, payload: Uint8Array): void {
    const deflated = this.#references?.deflate(payload);
    if (deflated === undefined) {
      for (const listener of this.listeners) listener.onPublication(publication);
      return;
    }
    this.#tellReference();
    const both = { ...publication, deflated };
    for (const listener of this.listeners) {
      listener.onPublication(this.#binaryListeners.has(listener) ? both : publication);
    }
  }

  /** Tells workers the reference that the next publication needs, unless they were told it already. */
  #tellReference(): void {
    const current = this.#references?.current;
    if (current === undefined || current.id === this.wire.reference?.id) return;
    this.#lastReference = current.id;
    const data = Buffer.from(current.bytes).toString();
    this.wire.reference = wireReference(this.wire.ref, current.id, data);
    for (const listener of this.#binaryListeners) listener.onReference(this.name, this.wire);
  }

  #dropDeflated(listener: FeedListener): void {
    if (!this.#binaryListeners.delete(listener) || this.#binaryListeners.size > 0) return;
    this.#references = undefined;
    this.wire.reference = undefined;
  }

  get #acknowledgement(): Acknowledgement {
    const { name, wire } = this;
    const { position } = this.sequence;
    return position === undefined ? { channel: name, wire } : { channel: name, wire, position };
  }

  #answerEnd(requests: readonly OnEndConfirmed[], code: ErrorCode | undefined): void {
    if (requests.length === 0) return;
    this.#context.acknowledgements.send();
    for (const onConfirmed of requests) onConfirmed(code);
  }
}
