/**
 * As much of MessagePack as JSON needs, to compare sizes. Strings stay strings: a price that is `"1666.8"` in JSON must come out as that.
 */
export function packMessage(value: unknown): Buffer {
  return pack(value, true);
}

/** The same without the keys of objects, as where both sides know a schema. */
export function packValues(value: unknown): Buffer {
  return pack(value, false);
}

function pack(value: unknown, hasKeys: boolean): Buffer {
  if (value === null) return Buffer.of(0xc0);
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === 'number') return packNumber(value);
  if (typeof value === 'string') return packString(value);
  if (Array.isArray(value)) {
    const head = sized(value.length, [
      [15, 0x90],
      [0xffff, 0xdc],
    ]);
    return Buffer.concat([head, ...value.map((item) => pack(item, hasKeys))]);
  }
  const entries = Object.entries(value as object);
  const head = sized(
    entries.length,
    hasKeys
      ? [
          [15, 0x80],
          [0xffff, 0xde],
        ]
      : [
          [15, 0x90],
          [0xffff, 0xdc],
        ],
  );
  const parts = entries.flatMap(([key, item]) => [
    ...(hasKeys ? [packString(key)] : []),
    pack(item, hasKeys),
  ]);
  return Buffer.concat([head, ...parts]);
}

function packNumber(value: number): Buffer {
  if (!Number.isInteger(value) || value > 0xffff_ffff || value < -0x8000_0000) {
    const bytes = Buffer.alloc(9, 0xcb);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (value >= 0 && value < 128) return Buffer.of(value);
  if (value < 0 && value >= -32) return Buffer.of(value & 0xff);
  const [first, bytes] = formOf(value);
  const packed = Buffer.alloc(1 + bytes, first);
  if (value < 0) packed.writeIntBE(value, 1, bytes);
  else packed.writeUIntBE(value, 1, bytes);
  return packed;
}

/** The first byte of an integer, and how many follow. */
function formOf(value: number): [first: number, bytes: number] {
  if (value >= 0) return value < 0x100 ? [0xcc, 1] : value < 0x1_0000 ? [0xcd, 2] : [0xce, 4];
  return value >= -0x80 ? [0xd0, 1] : value >= -0x8000 ? [0xd1, 2] : [0xd2, 4];
}

function packString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const { length } = bytes;
  const head =
    length < 32
      ? Buffer.of(0xa0 | length)
      : length < 256
        ? Buffer.of(0xd9, length)
        : Buffer.of(0xda, (length >> 8) & 0xff, length & 0xff);
  return Buffer.concat([head, bytes]);
}

/** The head of a list: its length in the first byte, or in two bytes behind it. */
function sized(
  length: number,
  [[most, short], [, long]]: readonly [[number, number], [number, number]],
): Buffer {
  return length <= most ? Buffer.of(short | length) : Buffer.of(long, length >> 8, length & 0xff);
}
