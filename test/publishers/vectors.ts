import { readFileSync } from 'node:fs';

/** A publication as a vector has it: one of `text`, `base64` and `json`. */
export interface VectorItem {
  readonly channel: string;
  /** With `repeat`, what stands before it. */
  readonly text?: string;
  readonly repeat?: { readonly text: string; readonly times: number };
  /** What stands behind `repeat`. */
  readonly end?: string;
  readonly base64?: string;
  readonly json?: unknown;
  readonly key?: string;
}

/** What a library says of a publication that it did not publish, or does not know to be. */
export interface VectorError {
  readonly code: string;
  readonly retryable: boolean;
  readonly published: 'no' | 'unknown';
}

export interface VectorResult {
  readonly epoch: string;
  readonly offset: number;
  readonly duplicate: boolean;
}

interface Vectors {
  readonly options: {
    readonly history: number;
    readonly historyTtlMs: number;
    readonly keyWindowMs: number;
    readonly deadlineMs: number;
    readonly maxPublicationBytes: number;
  };
  readonly sent: readonly (VectorItem & {
    readonly name: string;
    readonly words?: readonly string[];
  })[];
  readonly refused: readonly (VectorItem & { readonly name: string; readonly code: string })[];
  readonly answers: readonly {
    readonly name: string;
    readonly resp: string;
    readonly result?: VectorResult;
    readonly error?: VectorError;
  }[];
  readonly errors: readonly (VectorError & {
    readonly reply: string;
    readonly then: 'again' | 'reconnect' | 'otherwise' | 'fail';
  })[];
}

/** `docs/publish/conformance.json`. */
export const VECTORS = JSON.parse(
  readFileSync(new URL('../../docs/publish/conformance.json', import.meta.url), 'utf8'),
) as Vectors;

/** Writes `repeat` out: vectors of 64 KiB would be hard to read. */
export function expand<T extends VectorItem>(item: T): T {
  const { repeat, end, ...rest } = item;
  if (repeat === undefined) return item;
  return { ...rest, text: `${item.text}${repeat.text.repeat(repeat.times)}${end}` } as T;
}

/** The bytes that Redis must get. */
export function payloadOf({ text, base64, json }: VectorItem): Buffer {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return Buffer.from(text ?? JSON.stringify(json));
}
