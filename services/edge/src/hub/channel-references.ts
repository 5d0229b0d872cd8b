import type { DeflatedPayload } from '@tradewind/fanout';
import { MAX_REFERENCE_BYTES } from '@tradewind/protocol';
import type { PayloadDeflater } from './payload-deflater.ts';

/** What the frame that tells a reference has besides it, in bytes; a JSON string of it is about an eighth longer. */
const REFERENCE_FRAME_BYTES = 50;
const ESCAPED_LENGTH = 1.125;

/** By how much the price may rise at most where another reference does not help. */
const MOST_PRICE = 64;

/** A reference must take at least a tenth off the payload after it, or nobody is told it. */
const LEAST_USE = 0.9;

/** After this many payloads in a row that did not become smaller, the channel rests. */
const FAILURES_UNTIL_REST = 16;

/** For how many publications a channel rests: then it is tried again, since what is published may have changed. */
const REST = 1_024;

/**
 * For how many payloads another reference is tried beside the current one. Publications of several kinds may alternate, and one of another kind says
 * little.
 */
const TRIAL = 4;

/** For how many payloads a first reference is tried before another one is. Not an even number: what alternates would not get its turn. */
const FIRST_TRIAL = 3;

interface Trial {
  readonly bytes: Uint8Array;
  /** Payloads for which it is tried still. */
  left: number;
  /** By how many bytes it made less of the payloads than the current reference did. */
  saved: number;
}

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
  /** What becomes the first reference if it proves useful for one of the next publications. */
  #candidate: Uint8Array | undefined;
  /** For how many payloads it was tried, the next one included. */
  #triedFirst = 1;
  /** What is tried beside the current reference. */
  #trial: Trial | undefined;
  /** How many publications of the sample were deflated, and their mean size. A first reference has no sample: any size is waste. */
  #sampled = Number.POSITIVE_INFINITY;
  #sampleMean = 0;
  /** Bytes by which publications since exceeded that mean: what the reference's age has cost a client. */
  #waste = 0;
  /** Publications since the reference was new, and their bytes. */
  #uses = 0;
  #usedBytes = 0;
  /** The mean size of publications with the reference before. */
  #meanBefore = Number.POSITIVE_INFINITY;
  #price = 1;
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
    if (this.#current === undefined) {
      return this.#candidate === undefined
        ? this.#beginCandidate(payload)
        : this.#tryFirst(payload, this.#candidate);
    }
    const { id, bytes } = this.#current;
    const deflated = this.#deflater.deflate(payload, bytes);
    const better = this.#tryBeside(payload, deflated.length);
    if (better !== undefined) return this.#judge(payload, better, id + 1);
    this.#count(deflated.length);
    if (this.#trial === undefined && this.#isWorn(bytes)) this.#beginTrial(payload);
    return this.#judge(payload, deflated, id);
  }

  /** Tries a payload from the next one on: this one would become nothing. */
  #beginTrial(payload: Uint8Array): void {
    if (payload.length > MAX_REFERENCE_BYTES) return;
    this.#trial = { bytes: Uint8Array.from(payload), left: TRIAL, saved: 0 };
  }

  /**
   * Tries what is on trial for this payload too. At the end of the trial it becomes the reference if it made less of the payloads than the current
   * one did.
   *
   * @param byCurrent the bytes that the current reference leaves of it.
   * @returns what it makes of the payload, if it is the reference from now on.
   */
  #tryBeside(payload: Uint8Array, byCurrent: number): Uint8Array | undefined {
    const trial = this.#trial;
    if (trial === undefined) return undefined;
    const deflated = this.#deflater.deflate(payload, trial.bytes);
    trial.saved += byCurrent - deflated.length;
    trial.left -= 1;
    if (trial.left > 0) return undefined;
    this.#trial = undefined;
    if (trial.saved > 0) {
      this.#replaceCurrent(trial.bytes);
      return deflated;
    }
    this.#price = Math.min(MOST_PRICE, 2 * this.#price);
    this.#waste = 0;
    return undefined;
  }

  #beginCandidate(payload: Uint8Array): DeflatedPayload | undefined {
    if (payload.length > MAX_REFERENCE_BYTES) {
      return this.#judge(payload, this.#deflater.deflate(payload, undefined), 0);
    }
    this.#candidate = Uint8Array.from(payload);
    this.#deflater.statistics.raw.first += 1;
    return undefined;
  }

  /** A candidate that helps none of some payloads gives way to the last of them. */
  #tryFirst(payload: Uint8Array, candidate: Uint8Array): DeflatedPayload | undefined {
    const bytes = this.#deflater.deflate(payload, candidate);
    this.#candidate = undefined;
    if (bytes.length <= LEAST_USE * payload.length) {
      this.#replaceCurrent(candidate);
    } else if (this.#triedFirst < FIRST_TRIAL) {
      this.#triedFirst += 1;
      this.#candidate = candidate;
    } else if (payload.length <= MAX_REFERENCE_BYTES) {
      this.#triedFirst = 1;
      this.#candidate = Uint8Array.from(payload);
    }
    return this.#judge(payload, bytes, this.current?.id ?? UNTOLD);
  }

  #replaceCurrent(bytes: Uint8Array): void {
    this.#current = { id: (this.#current?.id ?? this.#lastId) + 1, bytes };
    this.#deflater.statistics.references += 1;
    this.#meanBefore = this.#uses === 0 ? Number.POSITIVE_INFINITY : this.#usedBytes / this.#uses;
    this.#sampled = this.#current.id === this.#lastId + 1 ? Number.POSITIVE_INFINITY : 0;
    this.#sampleMean = 0;
    this.#waste = 0;
    this.#uses = 0;
    this.#usedBytes = 0;
  }

  /** What is sent of a payload. After many failures the channel rests, and begins with another reference. */
  #judge(payload: Uint8Array, bytes: Uint8Array, reference: number): DeflatedPayload | undefined {
    if (reference !== UNTOLD && bytes.length < payload.length) {
      this.#failures = 0;
      this.#deflater.statistics.deflated += 1;
      return { bytes, reference };
    }
    this.#deflater.statistics.raw.unshrinkable += 1;
    this.#failures += 1;
    if (this.#failures < FAILURES_UNTIL_REST) return undefined;
    this.#failures = 0;
    this.#rest = REST;
    if (this.#current !== undefined) this.#beginTrial(payload);
    else if (payload.length <= MAX_REFERENCE_BYTES) this.#candidate = Uint8Array.from(payload);
    return undefined;
  }

  #count(bytes: number): void {
    const { sample } = this.#deflater.terms;
    this.#uses += 1;
    this.#usedBytes += bytes;
    if (this.#sampled >= sample) {
      this.#waste = Math.max(0, this.#waste + bytes - this.#sampleMean);
      return;
    }
    this.#sampleMean = (this.#sampleMean * this.#sampled + bytes) / (this.#sampled + 1);
    this.#sampled += 1;
    if (this.#sampled < sample) return;
    const hasHelped = this.#sampleMean < this.#meanBefore;
    this.#price = hasHelped ? 1 : Math.min(MOST_PRICE, 2 * this.#price);
  }

  /** Whether the reference's age has cost a client as much as another reference would. */
  #isWorn({ length }: Uint8Array): boolean {
    const cost = REFERENCE_FRAME_BYTES + ESCAPED_LENGTH * length;
    return this.#waste > this.#price * this.#deflater.terms.price * cost;
  }
}

/** Instead of an id: nobody is told what a payload was deflated against. */
const UNTOLD = -1;
