import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** An argument of a script, as it goes to Redis. */
export type ScriptArgument = string | Buffer;

/** A Lua script that Redis knows by its name, if a library is loaded, and by the SHA-1 of its text. */
export interface RedisScript {
  /** The name of its function, with its version: what does something else has another name. */
  readonly name: string;
  /** What EVAL takes. */
  readonly text: string;
  /** What EVALSHA takes. */
  readonly sha: string;
}

/** All scripts, in one file that publishers use as it is. Its last line calls `publish`. */
export const SCRIPT_FILE = readFileSync(
  new URL('../../../../docs/publish/tradewind_publish_1.lua', import.meta.url),
  'utf8',
);

/**
 * What FUNCTION LOAD takes (Redis 7 and later). A later version has another library name and other function names, so that
 * both can be loaded.
 */
export const FUNCTION_LIBRARY = `#!lua name=tradewind_functions_1\n${SCRIPT_FILE}`;

/** Gives a script its SHA-1. */
export function defineScript(name: string, text: string): RedisScript {
  return { name, text, sha: createHash('sha1').update(text).digest('hex') };
}

/** A script answered with something that it never answers with: there is another one of its name. */
export class UnexpectedReplyError extends Error {
  override readonly name = 'UnexpectedReplyError';

  constructor(script: string) {
    super(`${script} gave an answer that is not its own`);
  }
}
