import { TradewindClient } from './client.ts';
import { runtimeSurroundings } from './surroundings.ts';
import type { Client, ClientOptions, UrlSource } from './types.ts';

/**
 * Makes a client. It connects when somebody reads a channel or calls `ready()`, and not before. The caller owns it and
 * must `close()` it. Throws a `RangeError` if an option is out of range.
 *
 * @param url where edges are reached, e.g. `wss://stream.example.com/ws`; a function is called for each attempt.
 */
export function connect(url: UrlSource, options: ClientOptions = {}): Client {
  return new TradewindClient(url, options, runtimeSurroundings());
}
