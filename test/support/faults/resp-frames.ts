/** A value of RESP2 or RESP3: text and numbers as their bytes, aggregates as lists. */
export type RespValue = Buffer | null | readonly RespValue[];

/** One whole frame of a Redis connection. */
export interface RespFrame {
  /** Its bytes, unchanged. */
  readonly bytes: Buffer;
  /** Its first byte as a character: `>` is a push, `-` an error, `*` an array. */
  readonly type: string;
  readonly value: RespValue;
}

/** The largest frame, in bytes: a stream that is not RESP must not fill the memory. */
const MAX_FRAME_BYTES = 64 * 2 ** 20;

/** Splits one direction of a Redis connection into its frames, for RESP2 and RESP3. */
export class RespFrames {
  #unread: Buffer = Buffer.alloc(0);

  /**
   * Adds a chunk and returns the frames that are complete. Their bytes are views into the chunks.
   *
   * @throws Error if the stream is not RESP.
   */
  take(chunk: Buffer): RespFrame[] {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    const frames: RespFrame[] = [];
    let at = 0;
    for (;;) {
      const read = readValue(this.#unread, at);
      if (read === undefined) break;
      const bytes = this.#unread.subarray(at, read.end);
      frames.push({ bytes, type: String.fromCharCode(bytes[0]!), value: read.value });
      at = read.end;
    }
    this.#unread = this.#unread.subarray(at);
    if (this.#unread.length > MAX_FRAME_BYTES) throw new Error('a RESP frame has no end');
    return frames;
  }
}

/** A command's words as text: `['CLIENT', 'SETNAME', 'edge-1-subscriber']`. */
export function commandWords(value: RespValue): string[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly RespValue[]).map((word) =>
    Buffer.isBuffer(word) ? word.toString() : '',
  );
}

/** Encodes a command in RESP, as a client does. */
export function encodeCommand(words: readonly string[]): Buffer {
  const bulks = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${bulks.join('')}`);
}

interface Read {
  readonly value: RespValue;
  readonly end: number;
}

/** The value that begins at `at`, or undefined while it is incomplete. */
function readValue(bytes: Buffer, at: number): Read | undefined {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd === -1) return undefined;
  const type = String.fromCharCode(bytes[at]!);
  const line = bytes.subarray(at + 1, lineEnd);
  const next = lineEnd + 2;
  switch (type) {
    case '+':
    case '-':
    case ':':
    case ',':
    case '#':
    case '(':
      return { value: line, end: next };
    case '_':
      return { value: null, end: next };
    case '$':
    case '=':
    case '!': {
      const size = Number(line);
      if (size === -1) return { value: null, end: next };
      const end = next + size + 2;
      if (bytes.length < end) return undefined;
      return { value: bytes.subarray(next, next + size), end };
    }
    case '*':
    case '~':
    case '>':
      return Number(line) === -1 ? { value: null, end: next } : readItems(bytes, next, line, 1);
    case '%':
      return readItems(bytes, next, line, 2);
    case '|': {
      const attributes = readItems(bytes, next, line, 2);
      return attributes && readValue(bytes, attributes.end);
    }
    default:
      throw new Error(`not RESP: ${JSON.stringify(bytes.subarray(at, at + 32).toString())}`);
  }
}

function readItems(bytes: Buffer, at: number, count: Buffer, each: number): Read | undefined {
  const items: RespValue[] = [];
  let end = at;
  for (let left = Number(count) * each; left > 0; left -= 1) {
    const item = readValue(bytes, end);
    if (item === undefined) return undefined;
    items.push(item.value);
    end = item.end;
  }
  return { value: items, end };
}
