import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ERROR_CODES, type ErrorCode, WEBSOCKET_PATH } from '@tradewind/protocol';
import { endWithError, parseTarget } from '@tradewind/runtime';
import { type WebSocket, WebSocketServer } from 'ws';
import { MAX_PENDING_PONGS } from '../clients/requests.ts';
import type { WireFormat } from '../outbound/wire-format.ts';
import { type OriginPolicy, originFault, originOf } from './origins.ts';

/** What a client's handshake says of the client. */
export interface Handshake {
  /** The client's IP address in its canonical text. Empty if the client was gone before the address was read. */
  readonly address: string;
  /** See `originOf`. */
  readonly origin: string | undefined;
  /** The format that the client chose, or the first one when it asked for none. */
  readonly format: WireFormat;
  /** The token that it offered among the subprotocols. */
  readonly token: string | undefined;
}

/** Decides about handshakes, and owns the connections that result. */
export interface HandshakeGate {
  /** The address of the client that sent a handshake. */
  addressOf(request: IncomingMessage): string;
  /** Charges the handshake to its address. Returns a code if the address exceeds its rate or its number of connections. */
  excess(request: IncomingMessage, address: string): ErrorCode | undefined;
  /** The code with which all clients are refused now. Undefined if clients are admitted. */
  refusal(): ErrorCode | undefined;
  /** Takes over a connection whose handshake has succeeded. */
  onAdmitted(webSocket: WebSocket, socket: Socket, handshake: Handshake): void;
  /** A handshake was refused with this code. */
  onRejected(code: ErrorCode, from: Pick<Handshake, 'address' | 'origin'>): void;
}

/** Begins the subprotocol value that holds a token, for browsers, which can set no header. It is never answered. */
const TOKEN_PREFIX = 'tradewind.token.';

/** The version of the protocol that RFC 6455 describes. `ws` would also speak version 8. */
const WEBSOCKET_VERSION = '13';

/** The headers that name the protocol that a client must speak (RFC 6455, 4.2.2; RFC 9110, 15.5.22). */
export const VERSION_HEADERS = {
  upgrade: 'websocket',
  'sec-websocket-version': WEBSOCKET_VERSION,
} as const;

/** The wait that `Retry-After` tells with a retryable refusal, in seconds. */
const RETRY_AFTER_SECONDS = 5;

/**
 * The most fragments of one message. A request fits into one frame, so more fragments are no honest request.
 */
const MAX_FRAGMENTS = 16;

/** The most chunks of one message that are buffered. 32 KiB arrive in a few dozen TCP segments. */
const MAX_BUFFERED_CHUNKS = 256;

/**
 * The time in which a peer must answer our close frame, in ms. Afterwards the connection is reset if the peer still sends, and a
 * peer that has not read the frame by then never learns the code. A busy machine needs seconds.
 */
const CLOSE_TIMEOUT_MS = 5_000;

/**
 * Answers WebSocket handshakes on an HTTP server: with 101, or with the error that says why not. permessage-deflate
 * is declined, so that frames can be written to the socket directly.
 *
 * @param formats the formats that clients may choose from, by their subprotocols.
 */
export function acceptUpgrades(
  server: Server,
  policy: OriginPolicy & { readonly maxMessageBytes: number },
  formats: readonly [WireFormat, ...WireFormat[]],
  gate: HandshakeGate,
): void {
  // A variable, because @types/ws lacks some of these options and would reject them in a literal.
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: policy.maxMessageBytes,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_BUFFERED_CHUNKS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    maxPendingAutoPongs: MAX_PENDING_PONGS,
    handleProtocols: (offered: ReadonlySet<string>) => firstSpoken(formats, [...offered]) ?? false,
  };
  const webSocketServer = new WebSocketServer(options);

  webSocketServer.on('wsClientError', (_error, socket, request) => {
    const from = { address: gate.addressOf(request), origin: originOf(request) };
    gate.onRejected('bad_handshake', from);
    reject(socket, 'bad_handshake');
  });

  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const address = gate.addressOf(request);
    const from = { address, origin: originOf(request) };
    const code =
      gate.excess(request, address) ?? handshakeFault(request, formats, policy) ?? gate.refusal();
    if (code !== undefined) {
      gate.onRejected(code, from);
      reject(stream, code);
      return;
    }
    // node:http passes the connection's own socket; `Duplex` is only its declared type.
    const socket = stream as Socket;
    webSocketServer.handleUpgrade(request, socket, head, (webSocket) => {
      const chosen = formats.find(({ subprotocol }) => subprotocol === webSocket.protocol);
      const format = chosen ?? formats[0];
      gate.onAdmitted(webSocket, socket, { ...from, format, token: tokenOf(request) });
    });
  });
}

function handshakeFault(
  request: IncomingMessage,
  formats: readonly WireFormat[],
  policy: OriginPolicy,
): ErrorCode | undefined {
  if (parseTarget(request.url ?? '').path !== WEBSOCKET_PATH) return 'not_found';
  if (request.headers['sec-websocket-version'] !== WEBSOCKET_VERSION) return 'unsupported_version';
  const fault = originFault(request.headers.origin, policy);
  if (fault !== undefined) return fault;
  const protocols = offeredBy(request);
  if (protocols === undefined) return undefined;
  return firstSpoken(formats, protocols) === undefined ? 'unsupported_protocol' : undefined;
}

function offeredBy({ headers }: IncomingMessage): string[] | undefined {
  return headers['sec-websocket-protocol']?.split(',').map((protocol) => protocol.trim());
}

function tokenOf(request: IncomingMessage): string | undefined {
  const value = offeredBy(request)?.find((protocol) => protocol.startsWith(TOKEN_PREFIX));
  return value?.slice(TOKEN_PREFIX.length);
}

/** The first offered subprotocol that is spoken here. A client names them in the order of its preference. */
function firstSpoken(
  formats: readonly WireFormat[],
  offered: readonly string[],
): string | undefined {
  return offered.find((name) => formats.some(({ subprotocol }) => subprotocol === name));
}

function reject(stream: Duplex, code: ErrorCode): void {
  const { status, retryable, meaning } = ERROR_CODES[code];
  const headers = {
    ...(retryable ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {}),
    ...(code === 'unsupported_version' ? { ...VERSION_HEADERS, connection: 'close, Upgrade' } : {}),
  };
  endWithError(stream, { status, code, message: meaning, retryable }, headers);
}
