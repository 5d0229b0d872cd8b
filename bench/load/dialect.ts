import { MAX_CHANNELS_PER_REQUEST } from '@tradewind/protocol';
import { type FrameShape, NOT_A_PUBLICATION, UNNUMBERED } from './frame-counter.ts';

/** The protocol of a server, in the form that is sent to the load processes. */
export type DialectChoice =
  | {
      readonly kind: 'tradewind';
      /** The tokens by which connections say who they are, in turn. None where edges ask for none. */
      readonly tokens?: readonly string[];
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
  /** The upgrade has succeeded. */
  opened(session: DialectSession): void;
  /** A text frame arrived that is not a publication. */
  control(text: string, session: DialectSession): void;
}

export function createDialect(choice: DialectChoice): Dialect {
  switch (choice.kind) {
    case 'tradewind':
      return choice.tokens?.length ? identifiedDialect(choice.tokens) : TRADEWIND;
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

/** Like {@link TRADEWIND}, but a token comes before the first request. Tokens must last for longer than the load. */
function identifiedDialect(tokens: readonly string[]): Dialect {
  let next = 0;
  return {
    ...TRADEWIND,
    opened(session) {
      session.send(JSON.stringify({ type: 'auth', token: tokens[next % tokens.length] }));
      next += 1;
    },
    control(text, session) {
      const { type } = JSON.parse(text) as TradewindControl;
      if (type === 'authenticated') TRADEWIND.opened(session);
      else TRADEWIND.control(text, session);
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
