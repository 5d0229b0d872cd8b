import type { Inflate } from '@tradewind/protocol';

/** Code lengths stand in this order in a block (RFC 1951, 3.2.7). */
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const LONGEST_CODE = 15;
const END_OF_BLOCK = 256;
const MOST_LITERALS = 286;
const MOST_DISTANCES = 30;
const LONGEST_COPY = 258;

/** A Huffman code: how many codes there are of each length, and the symbols in the order of their codes. */
interface Code {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

/** Bases and extra bits of copies: of every `step` symbols, each has one bit more than those before. */
function basesOf(count: number, first: number, step: number): readonly (readonly number[])[] {
  const bases: number[][] = [];
  for (let symbol = 0, base = first; symbol < count; symbol += 1) {
    const extra = Math.max(0, Math.floor(symbol / step) - 1);
    bases.push([base, extra]);
    base += 2 ** extra;
  }
  return bases;
}

const LENGTHS = [...basesOf(28, 3, 4), [LONGEST_COPY, 0]] as const;
const DISTANCES = basesOf(MOST_DISTANCES, 1, 2);

/** @param mayBeIncomplete whether a single code of one bit is enough, as for distances. */
function codeOf(lengths: Uint8Array, mayBeIncomplete = true): Code {
  const counts = new Uint16Array(LONGEST_CODE + 1);
  for (const length of lengths) counts[length]! += 1;
  counts[0] = 0;
  const starts = new Uint16Array(LONGEST_CODE + 2);
  let left = 1;
  let longest = 0;
  for (let length = 1; length <= LONGEST_CODE; length += 1) {
    const count = counts[length]!;
    left = 2 * left - count;
    if (left < 0) throw new Error('more codes than there are');
    if (count > 0) longest = length;
    starts[length + 1] = starts[length]! + count;
  }
  if (left > 0 && longest > 0 && !(mayBeIncomplete && longest === 1))
    throw new Error('codes are missing');
  if (longest === 0 && !mayBeIncomplete) throw new Error('there is no code');
  const symbols = new Uint16Array(lengths.length);
  for (const [symbol, length] of lengths.entries()) {
    if (length > 0) {
      symbols[starts[length]!] = symbol;
      starts[length]! += 1;
    }
  }
  return { counts, symbols };
}

const FIXED_LITERALS = codeOf(
  Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
);
const FIXED_DISTANCES = codeOf(new Uint8Array(32).fill(5));

/** One stream and what was made of it. */
class Inflation {
  readonly #input: Uint8Array;
  readonly #dictionary: Uint8Array;
  readonly #maxBytes: number;
  #read = 0;
  /** Bits of the input that were read and not used: fewer than eight. */
  #bits = 0;
  #bitCount = 0;
  #output: Uint8Array;
  #made = 0;

  constructor(input: Uint8Array, dictionary: Uint8Array, maxBytes: number) {
    this.#input = input;
    this.#dictionary = dictionary;
    this.#maxBytes = maxBytes;
    this.#output = new Uint8Array(Math.min(maxBytes, 8 * input.length + LONGEST_COPY));
  }

  run(): Uint8Array {
    for (let isLast = false; !isLast; ) {
      isLast = this.#take(1) === 1;
      const kind = this.#take(2);
      if (kind === 0) this.#stored();
      else if (kind === 1) this.#coded(FIXED_LITERALS, FIXED_DISTANCES);
      else if (kind === 2) this.#codedByItself();
      else throw new Error('a block of an unknown kind');
    }
    if (this.#read < this.#input.length) throw new Error('bytes follow the end of the stream');
    return this.#output.subarray(0, this.#made);
  }

  #take(count: number): number {
    while (this.#bitCount < count) {
      if (this.#read === this.#input.length) throw new Error('the stream is cut');
      this.#bits |= this.#input[this.#read]! << this.#bitCount;
      this.#read += 1;
      this.#bitCount += 8;
    }
    const taken = this.#bits & (2 ** count - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return taken;
  }

  #symbol({ counts, symbols }: Code): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= LONGEST_CODE; length += 1) {
      code |= this.#take(1);
      const count = counts[length]!;
      if (code < first + count) return symbols[index + code - first]!;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new Error('a code that does not exist');
  }

  /** Makes room for `count` bytes more. */
  #reserve(count: number): void {
    const needed = this.#made + count;
    if (needed > this.#maxBytes) throw new Error(`more than ${this.#maxBytes} bytes`);
    if (needed <= this.#output.length) return;
    const larger = new Uint8Array(Math.min(this.#maxBytes, 2 * needed));
    larger.set(this.#output);
    this.#output = larger;
  }

  #stored(): void {
    this.#bits = 0;
    this.#bitCount = 0;
    const count = this.#take(16);
    if ((this.#take(16) ^ 0xffff) !== count) throw new Error('a length that is not confirmed');
    const end = this.#read + count;
    if (end > this.#input.length) throw new Error('the stream is cut');
    this.#reserve(count);
    this.#output.set(this.#input.subarray(this.#read, end), this.#made);
    this.#read = end;
    this.#made += count;
  }

  #codedByItself(): void {
    const literals = this.#take(5) + 257;
    const distances = this.#take(5) + 1;
    const count = this.#take(4) + 4;
    if (literals > MOST_LITERALS || distances > MOST_DISTANCES) throw new Error('too many symbols');
    const own = new Uint8Array(LENGTH_ORDER.length);
    for (let i = 0; i < count; i += 1) own[LENGTH_ORDER[i]!] = this.#take(3);
    const code = codeOf(own, false);
    const lengths = new Uint8Array(literals + distances);
    for (let i = 0; i < lengths.length; ) {
      const symbol = this.#symbol(code);
      if (symbol < 16) {
        lengths[i] = symbol;
        i += 1;
        continue;
      }
      if (symbol === 16 && i === 0) throw new Error('nothing to repeat');
      const length = symbol === 16 ? lengths[i - 1]! : 0;
      const times =
        symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (i + times > lengths.length) throw new Error('more lengths than symbols');
      lengths.fill(length, i, i + times);
      i += times;
    }
    if (lengths[END_OF_BLOCK] === 0) throw new Error('a block without an end');
    this.#coded(codeOf(lengths.subarray(0, literals)), codeOf(lengths.subarray(literals)));
  }

  #coded(literals: Code, distances: Code): void {
    for (;;) {
      const symbol = this.#symbol(literals);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) {
        this.#reserve(1);
        this.#output[this.#made] = symbol;
        this.#made += 1;
      } else {
        const length = this.#amount(LENGTHS[symbol - END_OF_BLOCK - 1]);
        this.#copy(length, this.#amount(DISTANCES[this.#symbol(distances)]));
      }
    }
  }

  #amount(base: readonly number[] | undefined): number {
    if (base === undefined) throw new Error('a symbol that does not exist');
    return base[0]! + this.#take(base[1]!);
  }

  #copy(length: number, distance: number): void {
    const dictionary = this.#dictionary;
    let from = this.#made - distance;
    if (from + dictionary.length < 0) throw new Error('a copy of what is not there');
    this.#reserve(length);
    const output = this.#output;
    for (const end = this.#made + length; this.#made < end; this.#made += 1) {
      output[this.#made] = from < 0 ? dictionary[dictionary.length + from]! : output[from]!;
      from += 1;
    }
  }
}

/**
 * Inflates raw deflate in any runtime: no runtime but Node offers it with a dictionary. It makes at most `maxBytes`, and
 * throws for every stream that zlib refuses.
 */
export const inflate: Inflate = (deflated, dictionary, maxBytes) =>
  new Inflation(deflated, dictionary, maxBytes).run();
