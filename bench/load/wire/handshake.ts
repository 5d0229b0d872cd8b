import { createHash, randomBytes } from 'node:crypto';

/** The answer's header; an edge's has about 130 bytes. */
const MAX_HEADER_BYTES = 16 * 1024;

/** RFC 6455, section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const HEADER_END = Buffer.from('\r\n\r\n');

/** The server's answer to an upgrade. */
export type HandshakeAnswer =
  | { readonly accepted: true /** What came behind the header. */; readonly rest: Buffer }
  | { readonly accepted: false /** Short, e.g. `http 503`. */; readonly reason: string };

/**
 * The upgrade to one WebSocket URL. One request serves all connections of a process: the key proves that the server
 * speaks the protocol, and connections may share it.
 */
export class Handshake {
  /** The whole request. */
  readonly request: Buffer;
  readonly #accept: string;
  readonly #subprotocol: string | undefined;

  /** @param subprotocol the one to ask for, which the server must choose; undefined asks for none. */
  constructor(url: URL, subprotocol?: string) {
    this.#subprotocol = subprotocol;
    const key = randomBytes(16).toString('base64');
    this.#accept = createHash('sha1')
      .update(key + ACCEPT_SUFFIX)
      .digest('base64');
    this.request = Buffer.from(
      [
        `GET ${url.pathname}${url.search} HTTP/1.1`,
        `Host: ${url.host}`,
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Sec-WebSocket-Key: ${key}`,
        'Sec-WebSocket-Version: 13',
        ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
        '\r\n',
      ].join('\r\n'),
    );
  }

  /** Reads the bytes so far; undefined until the end of the header has arrived. */
  read(bytes: Buffer): HandshakeAnswer | undefined {
    const end = bytes.indexOf(HEADER_END);
    if (end === -1) {
      if (bytes.length <= MAX_HEADER_BYTES) return undefined;
      return { accepted: false, reason: 'no http answer' };
    }
    const header = bytes.toString('latin1', 0, end);
    const status = /^HTTP\/1\.1 (\d{3})/.exec(header)?.[1];
    if (status !== '101') return { accepted: false, reason: `http ${status ?? 'nonsense'}` };
    const accept = /\r\nsec-websocket-accept: *([^\r\n]*)/i.exec(header)?.[1]?.trim();
    if (accept !== this.#accept) return { accepted: false, reason: 'wrong accept key' };
    const chosen = /\r\nsec-websocket-protocol: *([^\r\n]*)/i.exec(header)?.[1]?.trim();
    if (chosen !== this.#subprotocol) return { accepted: false, reason: 'another subprotocol' };
    if (/\r\nsec-websocket-extensions:/i.test(header)) {
      return { accepted: false, reason: 'an extension was not asked for' };
    }
    return { accepted: true, rest: bytes.subarray(end + HEADER_END.length) };
  }
}
