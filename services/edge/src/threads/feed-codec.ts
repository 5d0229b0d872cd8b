import type { DeflatedPayload, Publication, WireChannel } from '@tradewind/fanout';
import type { ErrorCode, Position } from '@tradewind/protocol';
import type { GapNotice, HistoryAnswer, ResyncNotice } from '../feed.ts';

/** A channel, and the number of the worker's declaration of it to which an answer belongs. */
export interface NumberedChannel {
  readonly channel: string;
  readonly declaration: number;
}

/** An acknowledgement as it crosses, without the reference of its channel. */
export interface NumberedAcknowledgement extends NumberedChannel, Pick<WireChannel, 'ref' | 'ts'> {
  /** See `Acknowledgement`. */
  readonly position?: Position;
}

/** A reference as it crosses, without its frame; see `WireReference`. */
export interface CrossingReference {
  readonly channel: string;
  readonly id: number;
  readonly data: string;
}

/** The answer to a read; `number` is that of the worker's call. */
export interface NumberedHistory extends HistoryAnswer {
  readonly number: number;
}

/** The answer to a request to confirm a channel's end; `number` is that of the worker's call. */
export interface NumberedEnd {
  readonly channel: string;
  readonly number: number;
  readonly code?: ErrorCode;
}

/**
 * A `FeedListener` whose answers carry the numbers of the worker's calls. Its calls cross from the hub's thread to a worker's.
 */
export interface NumberedFeedListener {
  onPublication(publication: Publication): void;
  onReference(reference: CrossingReference): void;
  onAcknowledged(acknowledgements: readonly NumberedAcknowledgement[]): void;
  onRefused(channels: readonly NumberedChannel[], code: ErrorCode): void;
  onGap(notice: GapNotice): void;
  onResync(notice: ResyncNotice): void;
  onHistory(answer: NumberedHistory): void;
  onEndConfirmed(answer: NumberedEnd): void;
  onDegraded(since: number, channels?: readonly string[]): void;
  onRestored(): void;
}

/**
 * The calls of a {@link NumberedFeedListener} for a worker in another thread, packed into few buffers. The calls must keep
 * their order: see `FeedListener`.
 *
 * A record is a kind (1 byte), the length of its content (4 bytes, little-endian) and the content. The content of a
 * publication is its time and its offset (8 bytes each, doubles), the length of its channel (1 byte), its channel and
 * its body. A publication of the past has the same form and belongs to the next `onHistory`. A deflated publication has the
 * number of its reference, the length of the deflated payload (4 bytes each) and that payload in front of its body. The content
 * of any other call is JSON: `[name, …arguments]`.
 */
const PUBLICATION = 0;
const CALL = 1;
const PAST_PUBLICATION = 2;
const DEFLATED_PUBLICATION = 3;

const HEADER_BYTES = 5;
const NUMBER_BYTES = 8;
const LENGTH_BYTES = 4;

/** The size at which the packer begins a new buffer, in bytes. A larger record gets a buffer of its own. */
const BATCH_BYTES = 64 * 1024;

type Call = {
  [Name in Exclude<keyof NumberedFeedListener, 'onPublication'>]: [
    Name,
    ...Parameters<NumberedFeedListener[Name]>,
  ];
}[Exclude<keyof NumberedFeedListener, 'onPublication'>];

/** Packs calls. Its owner must call {@link take} at the end of each turn of the event loop. */
export class FeedPacker {
  #buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  #end = 0;
  #full: Uint8Array<ArrayBuffer>[] = [];
  #fullBytes = 0;

  /** The bytes that were packed and not taken yet. */
  get bytes(): number {
    return this.#fullBytes + this.#end;
  }

  /** Packs a call of `onPublication`. */
  packPublication(publication: Publication): void {
    const kind = publication.deflated === undefined ? PUBLICATION : DEFLATED_PUBLICATION;
    this.#packRecord(kind, publication);
  }

  /** Packs a call of `onHistory`. The publications of the answer become records before it, so that they need not be JSON. */
  packHistory({ publications, ...answer }: NumberedHistory): void {
    for (const publication of publications) this.#packRecord(PAST_PUBLICATION, publication);
    this.packCall('onHistory', { ...answer, publications: [] });
  }

  #packRecord(kind: number, publication: Publication): void {
    const { channel, offset, publishedAt, body } = publication;
    const deflated = kind === DEFLATED_PUBLICATION ? publication.deflated : undefined;
    const deflatedBytes = deflated === undefined ? 0 : 2 * LENGTH_BYTES + deflated.bytes.length;
    const headBytes = 2 * NUMBER_BYTES + 1 + channel.length;
    let at = this.#begin(kind, headBytes + deflatedBytes + body.length);
    at = this.#buffer.writeDoubleLE(publishedAt, at);
    at = this.#buffer.writeDoubleLE(offset, at);
    at = this.#buffer.writeUInt8(channel.length, at);
    at += this.#buffer.write(channel, at, 'latin1');
    if (deflated !== undefined) {
      at = this.#buffer.writeUInt32LE(deflated.reference, at);
      at = this.#buffer.writeUInt32LE(deflated.bytes.length, at);
      this.#buffer.set(deflated.bytes, at);
      at += deflated.bytes.length;
    }
    this.#buffer.set(body, at);
    this.#end = at + body.length;
  }

  /** Packs any other call as JSON. */
  packCall(...call: Call): void {
    const content = Buffer.from(JSON.stringify(call));
    const at = this.#begin(CALL, content.length);
    this.#buffer.set(content, at);
    this.#end = at + content.length;
  }

  /** Returns all that was packed since the last call, oldest first. The caller owns the buffers and may transfer them. */
  take(): readonly Uint8Array<ArrayBuffer>[] {
    this.#handOver();
    const taken = this.#full;
    this.#full = [];
    this.#fullBytes = 0;
    return taken;
  }

  #begin(kind: number, contentBytes: number): number {
    const recordBytes = HEADER_BYTES + contentBytes;
    if (this.#end + recordBytes > this.#buffer.length) {
      this.#handOver();
      if (recordBytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(recordBytes);
    }
    this.#buffer[this.#end] = kind;
    return this.#buffer.writeUInt32LE(contentBytes, this.#end + 1);
  }

  /** Copies the packed records into memory of exactly their size, so that a quiet turn posts a small buffer. */
  #handOver(): void {
    if (this.#end === 0) return;
    this.#full.push(new Uint8Array(this.#buffer.subarray(0, this.#end)));
    this.#fullBytes += this.#end;
    this.#end = 0;
    if (this.#buffer.length > BATCH_BYTES) this.#buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  }
}

/** Unpacks the buffers of a {@link FeedPacker} and makes the calls. */
export class FeedUnpacker {
  readonly #listener: NumberedFeedListener;
  readonly #wireOf: (channel: string) => WireChannel | undefined;
  /** The publications of the past that were unpacked, for the `onHistory` that follows. */
  #past: Publication[] = [];

  /** @param wireOf returns what publications of a channel refer to; undefined for one that is not acknowledged. */
  constructor(
    listener: NumberedFeedListener,
    wireOf: (channel: string) => WireChannel | undefined,
  ) {
    this.#listener = listener;
    this.#wireOf = wireOf;
  }

  /** Makes the calls that a buffer holds. Bodies of publications are views into `bytes`, which must not be written to afterwards. */
  unpack(bytes: Uint8Array<ArrayBuffer>): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at < buffer.length) {
      const kind = buffer[at];
      const start = at + HEADER_BYTES;
      at = start + buffer.readUInt32LE(at + 1);
      if (kind === CALL) this.#makeCall(JSON.parse(buffer.toString('utf8', start, at)) as Call);
      else if (kind === PAST_PUBLICATION) this.#past.push(this.#readPublication(buffer, start, at));
      else {
        const isDeflated = kind === DEFLATED_PUBLICATION;
        this.#listener.onPublication(this.#readPublication(buffer, start, at, isDeflated));
      }
    }
  }

  #makeCall(call: Call): void {
    switch (call[0]) {
      case 'onAcknowledged':
        this.#listener.onAcknowledged(call[1]);
        break;
      case 'onRefused':
        this.#listener.onRefused(call[1], call[2]);
        break;
      case 'onReference':
        this.#listener.onReference(call[1]);
        break;
      case 'onGap':
        this.#listener.onGap(call[1]);
        break;
      case 'onResync':
        this.#listener.onResync(call[1]);
        break;
      case 'onHistory': {
        const publications = this.#past;
        this.#past = [];
        this.#listener.onHistory({ ...call[1], publications });
        break;
      }
      case 'onEndConfirmed':
        this.#listener.onEndConfirmed(call[1]);
        break;
      case 'onDegraded':
        if (call[2] === undefined) this.#listener.onDegraded(call[1]);
        else this.#listener.onDegraded(call[1], call[2]);
        break;
      case 'onRestored':
        this.#listener.onRestored();
        break;
    }
  }

  #readPublication(buffer: Buffer, start: number, end: number, isDeflated = false): Publication {
    const nameAt = start + 2 * NUMBER_BYTES + 1;
    const nameEnd = nameAt + (buffer[nameAt - 1] as number);
    const channel = buffer.toString('latin1', nameAt, nameEnd);
    let bodyAt = nameEnd;
    let deflated: DeflatedPayload | undefined;
    if (isDeflated) {
      const bytesAt = nameEnd + 2 * LENGTH_BYTES;
      bodyAt = bytesAt + buffer.readUInt32LE(nameEnd + LENGTH_BYTES);
      deflated = {
        bytes: buffer.subarray(bytesAt, bodyAt),
        reference: buffer.readUInt32LE(nameEnd),
      };
    }
    return {
      channel,
      publishedAt: buffer.readDoubleLE(start),
      offset: buffer.readDoubleLE(start + NUMBER_BYTES),
      body: buffer.subarray(bodyAt, end),
      wire: this.#wireOf(channel),
      deflated,
    };
  }
}
