import type { DeflatedPayload } from '@tradewind/fanout';
import { MAX_REFERENCE_BYTES } from '@tradewind/protocol';
import type { PayloadDeflater } from './payload-deflater.ts';

/** The bytes of a `reference` frame besides the reference itself, which is about an eighth longer as a JSON string. */
const REFERENCE_FRAME_BYTES = 50;
const ESCAPED_LENGTH = 1.125;

/** The largest factor of the price: it doubles each time that another reference does not help. */
const MOST_PRICE = 64;

/** The largest size of a deflated payload, as a share of the raw one, with which a first reference is useful. */
const LEAST_USE = 0.9;

/** The number of payloads in a row that did not become smaller after which the channel rests. */
const FAILURES_UNTIL_REST = 16;

/** For how many publications a resting channel goes raw. Then it is tried again, because its publications may have changed. */
const REST = 1_024;

/**
 * For how many payloads another reference is tried beside the current one. Publications of several kinds may alternate, so one
 * payload says little.
 */
const TRIAL = 4;

/** For how many payloads a first reference is tried before another one is. It is odd, so that of two kinds that alternate each is tried. */
const FIRST_TRIAL = 3;

interface Trial {
  readonly bytes: Uint8Array;
  /** For how many further payloads it is tried. */
  left: number;
  /** By how many bytes it left less of the payloads than the current reference did. */
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
  /** The payload that becomes the first reference if it proves useful for one of the next publications. */
  #candidate: Uint8Array | undefined;
  /** For how many payloads the candidate was tried, the next one included. */
  #triedFirst = 1;
  /** The payload that is tried beside the current reference. */
  #trial: Trial | undefined;
  /** How many publications of the sample were deflated, and their mean size. For a first reference there is no sample, and all bytes count as waste. */
  #sampled = Number.POSITIVE_INFINITY;
  #sampleMean = 0;
  /** By how many bytes publications since exceeded that mean: what the age of the reference has cost a client. */
  #waste = 0;
  /** Publications since the reference was chosen, and their deflated bytes. */
  #uses = 0;
  #usedBytes = 0;
  /** The mean size of publications with the previous reference. */
  #meanBefore = Number.POSITIVE_INFINITY;
  #price = 1;
  #failures = 0;
  #rest = 0;

  /** @param lastId the `id` of the channel's latest reference so far; 0 for none. */
  constructor(deflater: PayloadDeflater, lastId = 0) {
    this.#deflater = deflater;
    this.#lastId = lastId;
  }

  /** The reference that clients must be told before the last result of {@link deflate}. Undefined while there is none. */
  get current(): ChannelReference | undefined {
    return this.#current;
  }

  /**
   * Deflates the payload of a publication. {@link current} may be another one afterwards.
   *
   * @param payload is copied if it is kept.
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

  /** Begins to try a payload as a reference, for the payloads after it: against itself it would deflate to nothing. */
  #beginTrial(payload: Uint8Array): void {
    if (payload.length > MAX_REFERENCE_BYTES) return;
    this.#trial = { bytes: Uint8Array.from(payload), left: TRIAL, saved: 0 };
  }

  /**
   * Deflates this payload against the one on trial too. At the end of the trial that one becomes the reference, if it left less of the
   * payloads than the current one did.
   *
   * @param byCurrent the bytes that the current reference leaves of the payload.
   * @returns the deflated payload, if the one on trial is the reference from now on.
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

  /** Tries the candidate. If it helps with none of {@link FIRST_TRIAL} payloads, the last of them replaces it. */
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

  /** Decides whether a payload goes deflated or raw. After many failures the channel rests, and then tries another reference. */
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

  /** Whether the age of the reference has cost a client as many bytes as another reference would. */
  #isWorn({ length }: Uint8Array): boolean {
    const cost = REFERENCE_FRAME_BYTES + ESCAPED_LENGTH * length;
    return this.#waste > this.#price * this.#deflater.terms.price * cost;
  }
}

/** In place of an id: clients were not told what the payload was deflated against. */
const UNTOLD = -1;
