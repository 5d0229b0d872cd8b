import { BinaryFrameError } from './binary-fault.ts';
import { parseBinaryFrame, referenceLabel } from './binary-publication.ts';
import { MAX_REFERENCE_BYTES } from './limits.ts';
import type { Reference, SubscribedChannel } from './server-message.ts';

/**
 * Inflates raw deflate (RFC 1951). It must throw unless the stream is complete, ends where `deflated` ends, and makes
 * `maxBytes` at most; it must not make much more than that before it throws.
 *
 * @param dictionary what the stream may refer to in front of its own bytes. Empty if there is none.
 * @returns the bytes, which are the caller's.
 */
export type Inflate = (
  deflated: Uint8Array,
  dictionary: Uint8Array,
  maxBytes: number,
) => Uint8Array;

/** A publication out of a binary frame: what a {@link PublicationMessage} has, with the payload not parsed yet. */
export interface DecodedPublication {
  readonly seq: number;
  readonly channel: string;
  /** Absent for a plain publication. */
  readonly offset?: number;
  /** When it was published, ms since the Unix epoch. */
  readonly ts: number;
  /** How many publications were skipped before it. Absent if none was. */
  readonly skipped?: number;
  /** The JSON in UTF-8, byte for byte as v1's `data`. If it came raw, this is a view into the frame. */
  readonly data: Uint8Array;
}

/** At most two references of a channel are live: the latest, and the one before it. */
const LIVE_REFERENCES = 2;

interface KnownReference {
  readonly id: number;
  readonly bytes: Uint8Array;
}

interface KnownChannel {
  readonly channel: string;
  /** The base of the channel's times, in ms since the Unix epoch. */
  readonly ts: number;
  /** The latest last. */
  readonly references: KnownReference[];
}

const NO_DICTIONARY = new Uint8Array(0);
const encoder = new TextEncoder();

/**
 * What one connection with the subprotocol `tradewind.v2` has been told, and the publications that it makes of binary frames
 * with that. Its owner calls it for each frame in the order in which they came.
 *
 * It holds two references of each channel at most, of {@link MAX_REFERENCE_BYTES} each. After an error the connection must
 * be closed: what follows cannot be trusted.
 */
export class BinaryDecoder {
  readonly #inflate: Inflate;
  readonly #maxPublicationBytes: number;
  readonly #byRef = new Map<number, KnownChannel>();
  readonly #refs = new Map<string, number>();

  /** @param maxPublicationBytes the most bytes of a payload, as `welcome` announced it. */
  constructor(inflate: Inflate, maxPublicationBytes: number) {
    this.#inflate = inflate;
    this.#maxPublicationBytes = maxPublicationBytes;
  }

  /** The number of channels that it knows. */
  get channels(): number {
    return this.#byRef.size;
  }

  /**
   * Takes a channel of a `subscribed` message. If the channel has the same `ref` as before, this changes nothing.
   *
   * @throws {@link BinaryFrameError} `bad_subscribed` without a valid `ref` or `ts`, or when another channel has the `ref`.
   */
  subscribed({ channel, ref, ts }: Pick<SubscribedChannel, 'channel' | 'ref' | 'ts'>): void {
    if (!isPositive(ref) || !Number.isSafeInteger(ts) || (ts as number) < 0) {
      throw new BinaryFrameError('bad_subscribed', `${channel} has no valid ref and ts`);
    }
    const known = this.#byRef.get(ref);
    if (known?.channel === channel) return;
    if (known !== undefined) {
      throw new BinaryFrameError('bad_subscribed', `${channel} and ${known.channel} have one ref`);
    }
    this.unsubscribed(channel);
    this.#byRef.set(ref, { channel, ts: ts as number, references: [] });
    this.#refs.set(channel, ref);
  }

  /** Takes a channel of an `unsubscribed` message, and forgets all of it. */
  unsubscribed(channel: string): void {
    const ref = this.#refs.get(channel);
    if (ref === undefined) return;
    this.#refs.delete(channel);
    this.#byRef.delete(ref);
  }

  /**
   * Takes a `reference` message, and forgets the reference before the one before it.
   *
   * @throws {@link BinaryFrameError} `unknown_channel` or `bad_reference`.
   */
  reference({ ref, id, data }: Pick<Reference, 'ref' | 'id' | 'data'>): void {
    const known = this.#known(ref);
    const isShort =
      typeof data === 'string' && data.length > 0 && data.length <= MAX_REFERENCE_BYTES;
    const bytes = isShort ? encoder.encode(data) : NO_DICTIONARY;
    if (!isPositive(id) || bytes.length === 0 || bytes.length > MAX_REFERENCE_BYTES) {
      throw new BinaryFrameError('bad_reference', `${known.channel} has no valid reference`);
    }
    const { references } = known;
    const label = referenceLabel(id);
    const same = references.findIndex((one) => referenceLabel(one.id) === label);
    if (same >= 0) references.splice(same, 1);
    references.push({ id, bytes });
    if (references.length > LIVE_REFERENCES) references.shift();
  }

  /**
   * Decodes one binary frame.
   *
   * @throws {@link BinaryFrameError} for anything that a node must not send, and nothing else.
   */
  decode(frame: Uint8Array): DecodedPublication {
    const { seq, ref, offset, time, skipped, label, payload } = parseBinaryFrame(frame);
    const known = this.#known(ref);
    const ts = known.ts + time;
    if (!Number.isSafeInteger(ts) || ts < 0) {
      throw new BinaryFrameError(
        'bad_time',
        `${known.channel} has a publication of the time ${ts}`,
      );
    }
    const data = label === undefined ? payload : this.#inflated(known, label, payload);
    if (data.length > this.#maxPublicationBytes) throw this.#tooLarge(known);
    return {
      seq,
      channel: known.channel,
      ...(offset > 0 ? { offset } : {}),
      ts,
      ...(skipped > 0 ? { skipped } : {}),
      data,
    };
  }

  #inflated(known: KnownChannel, label: number, deflated: Uint8Array): Uint8Array {
    const dictionary = label === 0 ? NO_DICTIONARY : dictionaryOf(known, label);
    let data: Uint8Array;
    try {
      data = this.#inflate(deflated, dictionary, this.#maxPublicationBytes);
    } catch (cause) {
      const message = `${known.channel} has a payload that cannot be inflated`;
      throw new BinaryFrameError('bad_deflate', message, { cause });
    }
    if (data.length === 0) {
      throw new BinaryFrameError('empty', `${known.channel} has a publication without a payload`);
    }
    return data;
  }

  #known(ref: number): KnownChannel {
    const known = this.#byRef.get(ref);
    if (known === undefined)
      throw new BinaryFrameError('unknown_channel', `no channel has the ref ${ref}`);
    return known;
  }

  #tooLarge({ channel }: KnownChannel): BinaryFrameError {
    const message = `${channel} has a publication of more than ${this.#maxPublicationBytes} bytes`;
    return new BinaryFrameError('too_large', message);
  }
}

function dictionaryOf({ channel, references }: KnownChannel, label: number): Uint8Array {
  const known = references.find(({ id }) => referenceLabel(id) === label);
  if (known === undefined) {
    throw new BinaryFrameError('unknown_reference', `${channel} has no reference ${label}`);
  }
  return known.bytes;
}

function isPositive(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
