import type { Publication } from '@tradewind/fanout';
import type { PortFeedListener } from './port-feed.ts';

/**
 * What a hub tells a worker in another thread, packed into few buffers: a call of
 * {@link PortFeedListener} after the other, in order, since the order is the meaning.
 *
 * A record is a kind (1 byte), the length of its body (4 bytes, little-endian) and the body. A
 * publication's body is its time (8 bytes, a double), its channel's length (1 byte), its channel and
 * its tail. Any other call's body is JSON: `[name, …arguments]`.
 */
const PUBLICATION = 0;
const CALL = 1;

const HEADER_BYTES = 5;
const TIME_BYTES = 8;

/** A buffer is handed over when it holds this much; a larger record gets one of its own. */
const BATCH_BYTES = 64 * 1024;

type Call = {
  [Name in Exclude<keyof PortFeedListener, 'published'>]: [
    Name,
    ...Parameters<PortFeedListener[Name]>,
  ];
}[Exclude<keyof PortFeedListener, 'published'>];

/** Packs calls. Its owner takes what is packed at the end of each turn of the event loop. */
export class FeedPacker {
  #buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  #end = 0;
  #full: Uint8Array<ArrayBuffer>[] = [];
  #fullBytes = 0;

  /** Bytes packed and not taken yet. */
  get bytes(): number {
    return this.#fullBytes + this.#end;
  }

  published({ channel, publishedAt, tail }: Publication): void {
    const bodyBytes = TIME_BYTES + 1 + channel.length + tail.length;
    let at = this.#begin(PUBLICATION, bodyBytes);
    at = this.#buffer.writeDoubleLE(publishedAt, at);
    at = this.#buffer.writeUInt8(channel.length, at);
    at += this.#buffer.write(channel, at, 'latin1');
    this.#buffer.set(tail, at);
    this.#end = at + tail.length;
  }

  call(...call: Call): void {
    const body = Buffer.from(JSON.stringify(call));
    const at = this.#begin(CALL, body.length);
    this.#buffer.set(body, at);
    this.#end = at + body.length;
  }

  /** Everything packed since the last call, oldest first; each buffer may be transferred. */
  take(): readonly Uint8Array<ArrayBuffer>[] {
    this.#handOver();
    const taken = this.#full;
    this.#full = [];
    this.#fullBytes = 0;
    return taken;
  }

  #begin(kind: number, bodyBytes: number): number {
    const recordBytes = HEADER_BYTES + bodyBytes;
    if (this.#end + recordBytes > this.#buffer.length) {
      this.#handOver();
      if (recordBytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(recordBytes);
    }
    this.#buffer[this.#end] = kind;
    return this.#buffer.writeUInt32LE(bodyBytes, this.#end + 1);
  }

  /** Copies what is packed into memory of just its size, so that quiet turns stay small. */
  #handOver(): void {
    if (this.#end === 0) return;
    this.#full.push(new Uint8Array(this.#buffer.subarray(0, this.#end)));
    this.#fullBytes += this.#end;
    this.#end = 0;
    if (this.#buffer.length > BATCH_BYTES) this.#buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  }
}

/**
 * Makes the calls that a {@link FeedPacker} packed. The tails of its publications are views into
 * `bytes`, which must not be written to again.
 */
export function unpackFeed(bytes: Uint8Array<ArrayBuffer>, listener: PortFeedListener): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < buffer.length) {
    const kind = buffer[at];
    const start = at + HEADER_BYTES;
    at = start + buffer.readUInt32LE(at + 1);
    if (kind === PUBLICATION) listener.published(unpackPublication(buffer, start, at));
    else makeCall(JSON.parse(buffer.toString('utf8', start, at)) as Call, listener);
  }
}

function unpackPublication(buffer: Buffer, start: number, end: number): Publication {
  const nameAt = start + TIME_BYTES + 1;
  const tailAt = nameAt + (buffer[nameAt - 1] as number);
  return {
    channel: buffer.toString('latin1', nameAt, tailAt),
    publishedAt: buffer.readDoubleLE(start),
    tail: buffer.subarray(tailAt, end),
  };
}

function makeCall(call: Call, listener: PortFeedListener): void {
  switch (call[0]) {
    case 'acknowledged':
      listener.acknowledged(call[1]);
      break;
    case 'refused':
      listener.refused(call[1], call[2]);
      break;
    case 'gap':
      listener.gap(call[1]);
      break;
    case 'degraded':
      listener.degraded(call[1]);
      break;
    case 'restored':
      listener.restored();
      break;
  }
}
