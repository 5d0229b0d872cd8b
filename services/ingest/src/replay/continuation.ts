/** Who recognizes a publication that was sent before, and for how long. */
export type Memory =
  /** Redis, for `seconds`, as this process asks it to; 0: not at all. */
  | { readonly of: 'redis'; readonly seconds: number }
  /** The ingest service, for a time that this process does not know. */
  | { readonly of: 'service' };

/**
 * Returns the text for a replay that stopped before the end: the command that continues it, and the lines that it may publish
 * a second time.
 *
 * @param options.nextLine the line at which `command` begins.
 * @param options.publishedTo the last line from there on that may be published already, if any is.
 */
export function describeContinuation(options: {
  readonly command: readonly string[];
  readonly nextLine: number;
  readonly publishedTo: number | undefined;
  readonly memory: Memory;
}): readonly string[] {
  const { command, nextLine, publishedTo, memory } = options;
  const where = `to go on at line ${nextLine}, in the same folder and environment`;
  const next = `${where}: ${command.map(shellWord).join(' ')}`;
  if (publishedTo === undefined) return [next];
  const lines =
    publishedTo === nextLine ? `line ${nextLine}` : `of lines ${nextLine} to ${publishedTo} some`;
  return [next, `${lines} may have been published already; ${whatHappensTo(memory)}`];
}

function whatHappensTo(memory: Memory): string {
  const setting = 'INGEST_IDEMPOTENCY_SECONDS';
  if (memory.of === 'service')
    return `it is not published again while the service remembers it, for its ${setting}`;
  if (memory.seconds === 0) return `it is published again, since ${setting} is 0`;
  return `it is not published again while Redis remembers it, for ${memory.seconds} s (${setting})`;
}

/** Quotes a word for a shell. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
