import { CHANNEL_PATTERN_GRAMMAR } from '@tradewind/protocol';

/** What a token may give a right to. `revoke` ends the sessions of a subject on every edge. */
export type Right = 'publish' | 'revoke';

export const RIGHTS: readonly Right[] = ['publish', 'revoke'];

/** One token of the file of tokens. */
export interface TokenEntry {
  readonly name: string;
  /** SHA-256 of the token, in 64 lower-case hexadecimal digits. */
  readonly hash: string;
  /** Patterns of the channels that the token may publish to; `*` stands for anything. */
  readonly channels: readonly string[];
  readonly rights: readonly Right[];
  /** How much a second; what is absent is limited by the node alone. */
  readonly rates: {
    readonly publicationsPerSecond?: number;
    /** Bytes of payloads. */
    readonly bytesPerSecond?: number;
  };
}

/** The largest file of tokens, in bytes: 1,000 entries with some patterns each fit. */
export const MAX_TOKEN_FILE_BYTES = 1024 * 1024;

/** Entries of the file. Each costs about 1 KiB of memory. */
const MAX_ENTRIES = 1_000;

/** Patterns of one token. More belong in fewer, wider patterns. */
const MAX_PATTERNS = 64;

/** Publications, or bytes, a second: more than one node can take. */
const MAX_RATE = 1_073_741_824;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const HASH = /^sha256:([0-9a-f]{64})$/;
const FIELDS = ['name', 'hash', 'channels', 'rights', 'publicationsPerSecond', 'bytesPerSecond'];

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads a file of tokens: `{"tokens":[{"name","hash","channels","rights","publicationsPerSecond","bytesPerSecond"}]}`; the last
 * two may be absent. An unknown field is a mistake, because what it means would not happen.
 *
 * @throws Error that names the entry and what is wrong. It repeats no hash.
 */
export function readTokenEntries(bytes: Uint8Array): readonly TokenEntry[] {
  if (bytes.length > MAX_TOKEN_FILE_BYTES)
    throw new Error(`the file must have at most ${MAX_TOKEN_FILE_BYTES} bytes`);
  const entries = entriesOf(bytes).map(readEntry);
  for (const key of ['name', 'hash'] as const) {
    const all = entries.map((entry) => entry[key]);
    const again = all.findIndex((value, index) => all.indexOf(value) !== index);
    if (again !== -1) throw new Error(`entry ${again + 1} has the ${key} of another entry`);
  }
  return entries;
}

function entriesOf(bytes: Uint8Array): readonly unknown[] {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The parser's message would repeat a part of the file.
    throw new Error('the file must be JSON');
  }
  const tokens = isObject(document) ? document.tokens : undefined;
  if (!isObject(document) || Object.keys(document).length !== 1 || !Array.isArray(tokens))
    throw new Error('the file must be an object with the field `tokens`, a list');
  if (tokens.length === 0 || tokens.length > MAX_ENTRIES)
    throw new Error(`\`tokens\` must have 1 to ${MAX_ENTRIES} entries`);
  return tokens;
}

function readEntry(entry: unknown, index: number): TokenEntry {
  const mistake = (what: string): Error => new Error(`entry ${index + 1}: ${what}`);
  if (!isObject(entry)) throw mistake('must be an object');
  const unknown = Object.keys(entry).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined)
    throw mistake(`${JSON.stringify(unknown.slice(0, 64))} must be one of ${FIELDS.join(', ')}`);
  const { name, hash, channels, rights } = entry;
  if (typeof name !== 'string' || !NAME.test(name))
    throw mistake('`name` must be 1 to 64 letters, digits, dots, hyphens or underscores');
  const digits = typeof hash === 'string' ? HASH.exec(hash)?.[1] : undefined;
  if (digits === undefined)
    throw mistake('`hash` must be sha256: and 64 lower-case hexadecimal digits');
  if (!isListOf(channels, MAX_PATTERNS, isPattern))
    throw mistake(
      `\`channels\` must be a list of at most ${MAX_PATTERNS} patterns, names in which * stands for anything`,
    );
  if (!isListOf(rights, RIGHTS.length, isRight) || rights.length === 0)
    throw mistake(`\`rights\` must be a list of ${RIGHTS.join(', ')}`);
  return {
    name,
    hash: digits,
    channels,
    rights,
    rates: {
      ...rateOf(entry, 'publicationsPerSecond', mistake),
      ...rateOf(entry, 'bytesPerSecond', mistake),
    },
  };
}

function rateOf(
  entry: Fields,
  field: keyof TokenEntry['rates'],
  mistake: (what: string) => Error,
): TokenEntry['rates'] {
  const rate = entry[field];
  if (rate === undefined) return {};
  if (!Number.isInteger(rate) || (rate as number) < 1 || (rate as number) > MAX_RATE)
    throw mistake(`\`${field}\` must be an integer from 1 to ${MAX_RATE}`);
  return { [field]: rate as number };
}

function isListOf<Each extends string>(
  value: unknown,
  max: number,
  isEach: (each: unknown) => each is Each,
): value is readonly Each[] {
  return Array.isArray(value) && value.length <= max && value.every(isEach);
}

function isPattern(value: unknown): value is string {
  return typeof value === 'string' && CHANNEL_PATTERN_GRAMMAR.test(value);
}

function isRight(value: unknown): value is Right {
  return RIGHTS.includes(value as Right);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
