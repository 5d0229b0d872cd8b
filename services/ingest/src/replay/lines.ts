const LINE_FEED = 0x0a;

/** A line of a file, without its line feed. */
export interface Line {
  /** From 1, as editors count. */
  readonly number: number;
  /** The line's bytes; undefined if they exceed the limit. */
  readonly bytes: Buffer | undefined;
  /** Bytes of the file up to the end of this line. */
  readonly position: number;
}

/**
 * Splits a stream into lines. It holds at most one line, and at most `maxLineBytes` of it. The last line needs no line feed.
 */
export async function* linesOf(
  stream: AsyncIterable<Buffer>,
  maxLineBytes: number,
): AsyncGenerator<Line> {
  let number = 0;
  let position = 0;
  let parts: Buffer[] = [];
  let size = 0;

  function add(part: Buffer): void {
    size += part.length;
    position += part.length;
    if (size <= maxLineBytes) parts.push(part);
    else parts = [];
  }
  function finish(): Line {
    number += 1;
    const bytes = size <= maxLineBytes ? Buffer.concat(parts) : undefined;
    parts = [];
    size = 0;
    return { number, bytes, position };
  }

  for await (const chunk of stream) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end === -1) break;
      add(chunk.subarray(start, end));
      position += 1;
      start = end + 1;
      yield finish();
    }
    if (start < chunk.length) add(chunk.subarray(start));
  }
  if (size > 0) yield finish();
}
