import type { DeflatedPayload } from '@tradewind/fanout';
import { MAX_REFERENCE_BYTES } from '@tradewind/protocol';
import type { PayloadDeflater } from './payload-deflater.ts';

/** A reference is renewed when what is left of the payloads exceeds the least that it was by this factor. */
const RENEWAL_RATIO = 1.1;

/** A reference must take at least a tenth off the payload after it, or nobody is told it. */
const LEAST_USE = 0.9;

/** After this many payloads in a row that did not become smaller, the channel rests. */
const FAILURES_UNTIL_REST = 16;

/** For how many publications a channel rests: then it is tried again, since what is published may have changed. */
const REST = 1_024;

/** A reference of a channel: an earlier publication of it. */
export interface ChannelReference {
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** Chooses what the publications of one channel are deflated against, and deflates them. */
export class ChannelReferences {
  readonly #deflater: PayloadDeflater;
  readonly #lastId: number;
  #current: ChannelReference | undefined;
  /** What becomes the reference if it proves useful for the next publication. It replaces the current one in any case. */
  #candidate: Uint8Array | undefined;
  /** How many publications were deflated against the current reference. */
  #uses = 0;
  #windowUses = 0;
  #windowPayloadBytes = 0;
  #windowDeflatedBytes = 0;
  /** The least share that was left of the payloads of a window of this reference. */
  #bestRatio = Number.POSITIVE_INFINITY;
  #failures = 0;
  #rest = 0;

  /** @param lastId of the channel's references so far; 0 for none. */
  constructor(deflater: PayloadDeflater, lastId = 0) {
    this.#deflater = deflater;
    this.#lastId = lastId;
  }

  /** The reference that clients must be told before whatever {@link deflate} returned last. Undefined while there is none. */
  get current(): ChannelReference | undefined {
    return this.#current;
  }

  /**
   * Deflates the payload of a publication. It may make {@link current} another one.
   *
   * @param payload is copied where it is kept.
   * @returns undefined if the payload must go raw.
   */
  deflate(payload: Uint8Array): DeflatedPayload | undefined {
    const { statistics } = this.#deflater;
    if (this.#rest > 0) {
      this.#rest -= 1;
      statistics.raw.unshrinkable += 1;
      return undefined;
    }
    if (!this.#deflater.hasTime) {
      statistics.raw.budget += 1;
      return undefined;
    }
    if (this.#candidate === undefined && this.#current === undefined) {
      if (payload.length <= MAX_REFERENCE_BYTES) {
        this.#candidate = Uint8Array.from(payload);
        statistics.raw.first += 1;
        return undefined;
      }
      return this.#judged(payload, this.#deflater.deflate(payload, undefined), 0);
    }
    if (this.#candidate !== undefined) return this.#tryCandidate(payload, this.#candidate);
    const { id, bytes } = this.#current as ChannelReference;
    const deflated = this.#judged(payload, this.#deflater.deflate(payload, bytes), id);
    if (deflated !== undefined) this.#count(payload, deflated.bytes.length);
    return deflated;
  }

  /** A candidate that does not help gives way to this payload. */
  #tryCandidate(payload: Uint8Array, candidate: Uint8Array): DeflatedPayload | undefined {
    const id = (this.#current?.id ?? this.#lastId) + 1;
    const bytes = this.#deflater.deflate(payload, candidate);
    this.#candidate = undefined;
    if (bytes.length <= LEAST_USE * payload.length) {
      this.#current = { id, bytes: candidate };
      this.#deflater.statistics.references += 1;
      this.#uses = 0;
      this.#beginWindow();
      this.#bestRatio = Number.POSITIVE_INFINITY;
    } else if (this.#current === undefined && payload.length <= MAX_REFERENCE_BYTES) {
      this.#candidate = Uint8Array.from(payload);
    }
    return this.#judged(payload, bytes, id);
  }

  /** What is sent of a payload. After many failures the channel rests, and begins with another reference. */
  #judged(payload: Uint8Array, bytes: Uint8Array, reference: number): DeflatedPayload | undefined {
    const isTold = reference === 0 || reference === this.#current?.id;
    if (isTold && bytes.length < payload.length) {
      this.#failures = 0;
      this.#deflater.statistics.deflated += 1;
      return { bytes, reference };
    }
    this.#deflater.statistics.raw.unshrinkable += 1;
    this.#failures += 1;
    if (this.#failures < FAILURES_UNTIL_REST) return undefined;
    this.#failures = 0;
    this.#rest = REST;
    if (payload.length <= MAX_REFERENCE_BYTES) this.#candidate = Uint8Array.from(payload);
    return undefined;
  }

  #count(payload: Uint8Array, deflatedBytes: number): void {
    this.#uses += 1;
    this.#windowUses += 1;
    this.#windowPayloadBytes += payload.length;
    this.#windowDeflatedBytes += deflatedBytes;
    const { window, life } = this.#deflater.terms;
    if (this.#windowUses < window) return;
    const ratio = this.#windowDeflatedBytes / this.#windowPayloadBytes;
    this.#bestRatio = Math.min(this.#bestRatio, ratio);
    const isStale = ratio > RENEWAL_RATIO * this.#bestRatio || this.#uses >= life;
    if (isStale && payload.length <= MAX_REFERENCE_BYTES) {
      this.#candidate = Uint8Array.from(payload);
    }
    this.#beginWindow();
  }

  #beginWindow(): void {
    this.#windowUses = 0;
    this.#windowPayloadBytes = 0;
    this.#windowDeflatedBytes = 0;
  }
}
