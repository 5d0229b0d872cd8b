import type { WebSocketConstructor, WebSocketLike } from '@tradewind/client';

/** What a client did with its sockets. */
export interface SocketSpy {
  readonly WebSocket: WebSocketConstructor;
  readonly sockets: readonly WebSocketLike[];
  /** Frames that were sent, of all sockets. */
  readonly sent: readonly { readonly socket: number; readonly message: SentMessage }[];
  /** Sockets that are open or being opened. */
  open(): number;
  /** The most of them at a time. */
  readonly most: number;
  /** Binary frames that came. */
  readonly binaryFrames: number;
  /** Text frames in which a node refuses something, which a client asks for again. */
  readonly refusals: readonly { readonly socket: number; readonly text: string }[];
}

const REFUSAL = /"rejected":|"type":"error"|"type":"unsubscribed".*"reason":/;

export interface SentMessage {
  readonly type: string;
  readonly channels?: readonly (string | { readonly channel: string })[];
}

/** Wraps the runtime's WebSocket, which the scenarios use in all runtimes. */
export function spyOnSockets(Base: WebSocketConstructor): SocketSpy {
  const sockets: WebSocketLike[] = [];
  const sent: { socket: number; message: SentMessage }[] = [];
  const open = (): number => sockets.filter(({ readyState }) => readyState < 2).length;
  let most = 0;
  let binaryFrames = 0;
  const refusals: { socket: number; text: string }[] = [];
  const made = function make(url: string, protocols?: string | string[]): WebSocketLike {
    const socket = new Base(url, protocols);
    const number = sockets.push(socket) - 1;
    most = Math.max(most, open());
    socket.addEventListener('message', ({ data }: { readonly data: unknown }) => {
      if (typeof data !== 'string') binaryFrames += 1;
      else if (REFUSAL.test(data)) refusals.push({ socket: number, text: data });
    });
    const send = socket.send.bind(socket);
    socket.send = (text: string): void => {
      sent.push({ socket: number, message: JSON.parse(text) });
      send(text);
    };
    return socket;
  };
  return {
    WebSocket: made as unknown as WebSocketConstructor,
    sockets,
    sent,
    open,
    refusals,
    get most() {
      return most;
    },
    get binaryFrames() {
      return binaryFrames;
    },
  };
}
