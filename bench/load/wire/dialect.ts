import { constants, inflateRawSync } from 'node:zlib';
import {
  BINARY_SUBPROTOCOL,
  MAX_CHANNELS_PER_REQUEST,
  parseBinaryFrame,
  referenceLabel,
} from '@tradewind/protocol';
import { type FrameShape, NOT_A_PUBLICATION, UNNUMBERED } from './frame-counter.ts';

/** The protocol of a server, in the form that is sent to the load processes. */
export type DialectChoice =
  | {
      readonly kind: 'tradewind';
      /** The tokens by which connections say who they are, in turn. None where edges ask for none. */
      readonly tokens?: readonly string[];
      /** What is asked for in the handshake. Undefined asks for nothing, and gets text frames. */
      readonly subprotocol?: typeof BINARY_SUBPROTOCOL;
    }
  /** JSON text frames of any shape. */
  | {
      readonly kind: 'plain';
      /** Sent after the upgrade; `$CHANNELS` in it becomes the JSON list of the channels' names. */
      readonly subscribe: string;
      /**
       * The beginning of the text frame by which the server confirms, at most 64 bytes of ASCII. All other frames are
       * publications. Undefined: the server does not confirm, and a connection counts as subscribed once its message is
       * sent.
       */
      readonly acknowledgement: string | undefined;
    }
  /**
   * socket.io v4 over engine.io v4 over a WebSocket, in the default namespace. The client emits `subscribe` with the
   * list of channels and an acknowledgement callback, which the server must call. Every event that the server emits is
   * a publication. The URL is `ws://host:port/socket.io/?EIO=4&transport=websocket`.
   */
  | { readonly kind: 'socket.io' };

/** One connection, as a dialect sees it: what it can send, and what it reports. */
export interface DialectSession {
  readonly channels: readonly string[];
  /** The name of the node, once it has said it. */
  node: string;
  send(text: string): void;
  /** The server confirmed all channels. */
  subscribed(): void;
  /** The server refuses to serve this connection. */
  refused(reason: string): void;
  /** The server reports a loss, with the number of publications if it knows it. */
  gap(lost: number | undefined): void;
  /** The server asks the client to reconnect elsewhere. */
  reconnect(): void;
}

/** How to subscribe at a server, and how to read its frames. It holds no state of a connection. */
export interface Dialect {
  readonly shape: FrameShape;
  /** The subprotocol to ask for; undefined for none. */
  readonly subprotocol?: string;
  /** Makes the beginning of a publication's payload of the beginning of its frame, where that is not as it was published. */
  decode?(start: Buffer, session: DialectSession): Buffer | undefined;
  /** The upgrade has succeeded. */
  opened(session: DialectSession): void;
  /** A text frame arrived that is not a publication. */
  control(text: string, session: DialectSession): void;
}

export function createDialect(choice: DialectChoice): Dialect {
  switch (choice.kind) {
    case 'tradewind':
      return tradewindDialect(choice.tokens ?? [], choice.subprotocol);
    case 'plain':
      return plainDialect(choice.subscribe, choice.acknowledgement);
    case 'socket.io':
      return SOCKET_IO;
  }
}

const SEQUENCE_PREFIX = '{"seq":';
const SEQUENCE_MARK_AT = 2;
const LONGEST_SEQUENCE_DIGITS = 16;
const LETTER_S = 's'.charCodeAt(0);
const DIGIT_0 = '0'.charCodeAt(0);

const TRADEWIND: Dialect = {
  shape: {
    prefixBytes: SEQUENCE_PREFIX.length + LONGEST_SEQUENCE_DIGITS + 1,
    /** `{"seq":17,…`; every other frame begins with `{"type":`. */
    read(bytes, start, end) {
      if (end - start <= SEQUENCE_PREFIX.length) return NOT_A_PUBLICATION;
      if (bytes[start + SEQUENCE_MARK_AT] !== LETTER_S) return NOT_A_PUBLICATION;
      let sequence = 0;
      for (let at = start + SEQUENCE_PREFIX.length; at < end; at += 1) {
        const digit = (bytes[at] as number) - DIGIT_0;
        if (digit < 0 || digit > 9) break;
        sequence = sequence * 10 + digit;
      }
      return sequence === 0 ? NOT_A_PUBLICATION : sequence;
    },
  },
  opened(session) {
    const { channels } = session;
    const requests = Math.max(1, Math.ceil(channels.length / MAX_CHANNELS_PER_REQUEST));
    for (let id = 1; id <= requests; id += 1) {
      const from = (id - 1) * MAX_CHANNELS_PER_REQUEST;
      const part = channels.slice(from, from + MAX_CHANNELS_PER_REQUEST);
      const last = id === requests;
      session.send(JSON.stringify({ type: 'subscribe', id: last ? LAST_ID : id, channels: part }));
    }
  },
  control(text, session) {
    const message = JSON.parse(text) as TradewindControl;
    switch (message.type) {
      case 'subscribed': {
        const rejected = message.rejected?.[0];
        if (rejected !== undefined) session.refused(rejected.code);
        else if (message.done && message.id === LAST_ID) session.subscribed();
        break;
      }
      case 'gap':
        session.gap(message.lost);
        break;
      case 'reconnect':
        session.reconnect();
        break;
      case 'error':
        session.refused(message.code ?? 'error');
        break;
    }
  },
};

function tradewindDialect(
  tokens: readonly string[],
  subprotocol: typeof BINARY_SUBPROTOCOL | undefined,
): Dialect {
  const dialect = subprotocol === undefined ? TRADEWIND : binaryDialect();
  return tokens.length > 0 ? identifiedDialect(dialect, tokens) : dialect;
}

/** Binary frames. A node tells all of its clients the same references, so the connections of a process share them. */
function binaryDialect(): Dialect {
  const references = new Map<string, Buffer>();
  const nameOf = (node: string, ref: number, label: number): string => `${node} ${ref} ${label}`;
  return {
    ...TRADEWIND,
    subprotocol: BINARY_SUBPROTOCOL,
    shape: { ...TRADEWIND.shape, readBinary: readVarint },
    control(text, session) {
      const message = JSON.parse(text) as TradewindControl;
      if (message.type === 'welcome') session.node = message.node ?? '';
      else if (message.type !== 'reference') TRADEWIND.control(text, session);
      else {
        const { ref = 0, id: reference, data = '' } = message;
        const label = referenceLabel(Number(reference));
        references.set(nameOf(session.node, ref, label), Buffer.from(data));
      }
    },
    decode(start, { node }) {
      const { ref, label, payload } = parseBinaryFrame(start);
      if (label === undefined) return Buffer.from(payload);
      const dictionary = label === 0 ? undefined : references.get(nameOf(node, ref, label));
      if (label > 0 && dictionary === undefined) return undefined;
      // The frame may be longer than its beginning.
      const options = { finishFlush: constants.Z_SYNC_FLUSH };
      return inflateRawSync(
        payload,
        dictionary === undefined ? options : { ...options, dictionary },
      );
    },
  };
}

/** A frame's number in seven bits a byte, the lowest first; see docs/protocol.md. */
function readVarint(bytes: Buffer, start: number, end: number): number {
  let number = 0;
  let scale = 1;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    number += (byte & 0x7f) * scale;
    if (byte < 128) break;
    scale *= 128;
  }
  return number === 0 ? NOT_A_PUBLICATION : number;
}

/** Like another dialect, but a token comes before the first request. Tokens must last for longer than the load. */
function identifiedDialect(dialect: Dialect, tokens: readonly string[]): Dialect {
  let next = 0;
  return {
    ...dialect,
    opened(session) {
      session.send(JSON.stringify({ type: 'auth', token: tokens[next % tokens.length] }));
      next += 1;
    },
    control(text, session) {
      const { type } = JSON.parse(text) as TradewindControl;
      if (type === 'authenticated') dialect.opened(session);
      else dialect.control(text, session);
    },
  };
}

/** The id of the last request; the others are numbered. */
const LAST_ID = 'last';

/** The fields of an edge's frame that are read; all others are ignored. */
interface TradewindControl {
  readonly type?: string;
  readonly id?: number | string;
  readonly done?: boolean;
  readonly rejected?: readonly { readonly code: string }[];
  readonly code?: string;
  readonly lost?: number;
  readonly node?: string;
  readonly ref?: number;
  readonly data?: string;
}

function plainDialect(subscribe: string, acknowledgement: string | undefined): Dialect {
  const prefix = Buffer.from(acknowledgement ?? '', 'latin1');
  return {
    shape: {
      prefixBytes: prefix.length,
      read(bytes, start, end) {
        if (prefix.length === 0 || end - start < prefix.length) return UNNUMBERED;
        const isPrefix =
          bytes.compare(prefix, 0, prefix.length, start, start + prefix.length) === 0;
        return isPrefix ? NOT_A_PUBLICATION : UNNUMBERED;
      },
    },
    opened(session) {
      session.send(subscribe.replaceAll('$CHANNELS', () => JSON.stringify(session.channels)));
      if (acknowledgement === undefined) session.subscribed();
    },
    control(_text, session) {
      session.subscribed();
    },
  };
}

const ENGINE_PING = '2';
const ENGINE_PONG = '3';
const ENGINE_OPEN = '0';
const SOCKET_CONNECT = '40';
const SOCKET_DISCONNECT = '41';
const SOCKET_CONNECT_ERROR = '44';
const SOCKET_EVENT = Buffer.from('42');
/** The prefix of an event that requests acknowledgement 0, and of that acknowledgement. */
const SOCKET_EVENT_0 = '420';
const SOCKET_ACKNOWLEDGEMENT_0 = '430';

const SOCKET_IO: Dialect = {
  shape: {
    prefixBytes: SOCKET_EVENT.length,
    read(bytes, start, end) {
      const isEvent =
        end - start >= SOCKET_EVENT.length &&
        bytes[start] === SOCKET_EVENT[0] &&
        bytes[start + 1] === SOCKET_EVENT[1];
      return isEvent ? UNNUMBERED : NOT_A_PUBLICATION;
    },
  },
  opened() {},
  control(text, session) {
    if (text === ENGINE_PING) {
      session.send(ENGINE_PONG);
    } else if (text.startsWith(SOCKET_CONNECT)) {
      session.send(`${SOCKET_EVENT_0}${JSON.stringify(['subscribe', session.channels])}`);
    } else if (text.startsWith(SOCKET_ACKNOWLEDGEMENT_0)) {
      session.subscribed();
    } else if (text.startsWith(SOCKET_CONNECT_ERROR) || text.startsWith(SOCKET_DISCONNECT)) {
      session.refused(`socket.io ${text.slice(0, 2)}`);
    } else if (text.startsWith(ENGINE_OPEN)) {
      session.send(SOCKET_CONNECT);
    }
  },
};
