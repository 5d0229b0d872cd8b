/** What a command has of the process that it runs in. */
export interface Terminal {
  /** Writes a line of the result. */
  print(line: string): void;
  /** Writes a line about what went wrong. */
  complain(line: string): void;
  readonly input: AsyncIterable<Uint8Array | string>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C. */
  readonly stopped: AbortSignal;
}
