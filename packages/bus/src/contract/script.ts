import { createHash } from 'node:crypto';

/** An argument of a script, as it goes to Redis. */
export type ScriptArgument = string | Buffer;

/** A Lua script that Redis knows by the SHA-1 of its text. */
export interface RedisScript {
  /** With its version: another text is another name. */
  readonly name: string;
  readonly text: string;
  readonly sha: string;
}

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
