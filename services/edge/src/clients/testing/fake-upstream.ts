import type { DeflatedPayload, Hole, Publication, WireChannel } from '@tradewind/fanout';
import { type ErrorCode, encodePublicationBody, type Position } from '@tradewind/protocol';
import {
  type Feed,
  type FeedListener,
  type GapNotice,
  type HistoryAnswer,
  nothingOf,
  type ResyncNotice,
  wireReference,
} from '../../feed.ts';
import type { Subscriptions } from '../subscriptions/subscriptions.ts';

/**
 * The hub of one fan-out worker, which answers when the test says so. It throws when the worker breaks the contract of
 * `Feed`: it declares a channel twice, drops one that is not declared, or reads one whose read is pending.
 */
export class FakeUpstream implements Feed {
  /** Channels that are declared and neither dropped nor refused. */
  readonly wanted = new Set<string>();
  /** Every call, as `+channel`, `-channel`, `?channel from` or `?channel end`. */
  readonly calls: string[] = [];
  /** The first offset of each pending read, by channel. */
  readonly pendingReads = new Map<string, number>();
  readonly #onAnswer = new Map<string, (answer: HistoryAnswer) => void>();
  /** Requests to confirm a channel's end that are not answered. */
  readonly ends = new Map<string, ((code: ErrorCode | undefined) => void)[]>();
  readonly #acknowledged = new Map<string, WireChannel>();
  /** Channels that are wanted deflated. */
  readonly deflated = new Set<string>();
  #listener: FeedListener | undefined;
  #refs = 0;

  /** For the constructor of `FanOut`. */
  readonly connect = (listener: FeedListener): Feed => {
    this.#listener = listener;
    return this;
  };

  get listener(): FeedListener {
    if (this.#listener === undefined) throw new Error('no worker is connected');
    return this.#listener;
  }

  isAcknowledged(channel: string): boolean {
    return this.#acknowledged.has(channel);
  }

  declare(channel: string): void {
    this.calls.push(`+${channel}`);
    if (this.wanted.has(channel)) throw new Error(`${channel} is declared twice`);
    this.wanted.add(channel);
  }

  drop(channel: string): void {
    this.calls.push(`-${channel}`);
    if (!this.wanted.delete(channel)) throw new Error(`${channel} is dropped undeclared`);
    this.#acknowledged.delete(channel);
    this.pendingReads.delete(channel);
    this.ends.delete(channel);
  }

  wantDeflated(channel: string, isWanted: boolean): void {
    if (isWanted) this.deflated.add(channel);
    else this.deflated.delete(channel);
  }

  readHistory(channel: string, from: number, onAnswer: (answer: HistoryAnswer) => void): void {
    this.calls.push(`?${channel} ${from}`);
    if (!this.#acknowledged.has(channel)) throw new Error(`${channel} is not acknowledged`);
    if (this.pendingReads.has(channel)) throw new Error(`${channel} is read twice at once`);
    this.pendingReads.set(channel, from);
    this.#onAnswer.set(channel, onAnswer);
  }

  confirmEnd(channel: string, onConfirmed: (code: ErrorCode | undefined) => void): void {
    this.calls.push(`?${channel} end`);
    if (!this.#acknowledged.has(channel)) throw new Error(`${channel} is not acknowledged`);
    this.ends.set(channel, [...(this.ends.get(channel) ?? []), onConfirmed]);
  }

  /** Answers all requests to confirm the channel's end. */
  answerEnd(channel: string, code?: ErrorCode): void {
    const ends = this.ends.get(channel);
    if (ends === undefined) throw new Error(`nobody asked for the end of ${channel}`);
    this.ends.delete(channel);
    for (const onConfirmed of ends) onConfirmed(code);
  }

  /** Answers the pending read of a channel. Returns the first offset that was asked for. */
  answer(
    channel: string,
    epoch: string,
    publications: readonly Publication[],
    code?: ErrorCode,
    gaps: readonly Hole[] = [],
  ): number {
    const from = this.pendingReads.get(channel);
    if (from === undefined) throw new Error(`no read of ${channel} is pending`);
    const wire = this.#acknowledged.get(channel);
    const past = publications.map((publication) => ({ ...publication, wire }));
    const answer = { ...nothingOf(channel, epoch), publications: past, gaps };
    this.answerWith(code === undefined ? answer : { ...answer, code });
    return from;
  }

  answerWith(answer: HistoryAnswer): void {
    this.pendingReads.delete(answer.channel);
    this.#onAnswer.get(answer.channel)?.(answer);
  }

  /** Acknowledges channels that are declared, by default all of them. */
  acknowledge(channels: readonly string[] = [...this.wanted], position?: Position): void {
    const fresh = channels.filter((channel) => !this.#acknowledged.has(channel));
    this.listener.onAcknowledged(
      fresh.map((channel) => {
        if (!this.wanted.has(channel)) throw new Error(`${channel} is not declared`);
        this.#refs += 1;
        const wire: WireChannel = { ref: this.#refs, ts: Date.now(), reference: undefined };
        this.#acknowledged.set(channel, wire);
        return position === undefined ? { channel, wire } : { channel, wire, position };
      }),
    );
  }

  refuse(channels: readonly string[], code: ErrorCode): void {
    for (const channel of channels) {
      this.wanted.delete(channel);
      this.#acknowledged.delete(channel);
      this.pendingReads.delete(channel);
      this.ends.delete(channel);
    }
    this.listener.onRefused(channels, code);
  }

  /** Does nothing for a channel that is not acknowledged. So do the methods below. */
  publish(channel: string, data: unknown, offset = 0, deflated?: DeflatedPayload): void {
    const wire = this.#acknowledged.get(channel);
    if (wire === undefined) return;
    this.listener.onPublication({ ...publicationOf(channel, data, offset), wire, deflated });
  }

  /** Gives a channel another reference. */
  refer(channel: string, id: number, data: string): void {
    const wire = this.#acknowledged.get(channel);
    if (wire === undefined) return;
    wire.reference = wireReference(wire.ref, id, data);
    this.listener.onReference(channel, wire);
  }

  gap(notice: GapNotice): void {
    if (this.#acknowledged.has(notice.channel)) this.listener.onGap(notice);
  }

  resync(notice: ResyncNotice): void {
    if (this.#acknowledged.has(notice.channel)) this.listener.onResync(notice);
  }
}

/** Publications with these offsets, both inclusive, whose data is their offset. */
export function publicationsOf(channel: string, from: number, to: number): Publication[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) =>
    publicationOf(channel, from + i, from + i),
  );
}

export function publicationOf(channel: string, data: unknown, offset = 0): Publication {
  const publishedAt = Date.now();
  const json = Buffer.from(JSON.stringify(data));
  return {
    channel,
    offset,
    body: encodePublicationBody(channel, offset || undefined, publishedAt, json),
    publishedAt,
  };
}

/** The part of a fan-out worker that concerns subscriptions. */
export function listenerOf(subscriptions: Subscriptions): FeedListener {
  return {
    onAcknowledged: (acknowledgements) => subscriptions.startChannels(acknowledgements),
    onRefused: (channels, code) => subscriptions.endChannels(channels, code),
    onPublication: unexpected,
    onReference: unexpected,
    onGap: unexpected,
    onResync: unexpected,
    onDegraded: unexpected,
    onRestored: unexpected,
  };
}

function unexpected(): never {
  throw new Error('this test must not play such an event');
}
