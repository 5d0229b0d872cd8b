import { inflateRawSync, type ZlibOptions } from 'node:zlib';
import type { Inflate } from '@tradewind/protocol';

/** An {@link Inflate} made of Node's zlib. */
export const zlibInflate: Inflate = (deflated, dictionary, maxBytes) => {
  // `info` returns the engine as well, which knows how much of the input it took.
  const options: ZlibOptions = { info: true, maxOutputLength: maxBytes };
  const { buffer, engine } = inflateRawSync(
    deflated,
    dictionary.length === 0 ? options : { ...options, dictionary },
  ) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
  if (engine.bytesWritten !== deflated.length)
    throw new Error('bytes follow the end of the stream');
  return buffer;
};
