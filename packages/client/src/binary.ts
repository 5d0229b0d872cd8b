import { BINARY } from './binary/wire-format.ts';
import { connect as connectByText } from './index.ts';
import type { Client, ClientOptions, UrlSource } from './types.ts';

/**
 * The `connect` of the main entry, with publications as binary frames: about a quarter of the bytes for trades. It speaks JSON with a node
 * that does not know them. All else is the same.
 */
export function connect(url: UrlSource, options: ClientOptions = {}): Client {
  return connectByText(url, { format: BINARY, ...options });
}
