import type { WebSocketConstructor, WebSocketLike } from '@tradewind/client';
import { type SentMessage, SubscribeRule } from './subscribe-rule.ts';

/** What a client did with its sockets. */
export interface SocketSpy {
  readonly WebSocket: WebSocketConstructor;
  readonly sockets: readonly WebSocketLike[];
  /** Frames that were sent, of all sockets. */
  readonly sent: readonly SentMessage[];
  /** Sockets that are open or being opened. */
  open(): number;
  /** The most of them at a time. */
  readonly most: number;
  /** Binary frames that came. */
  readonly binaryFrames: number;
  /** Where a socket asked for a channel that it had. See {@link SubscribeRule}. */
  breaches(): readonly string[];
}

/** Wraps the runtime's WebSocket, which the scenarios use in all runtimes. */
export function spyOnSockets(Base: WebSocketConstructor): SocketSpy {
  const sockets: WebSocketLike[] = [];
  const sent: SentMessage[] = [];
  const open = (): number => sockets.filter(({ readyState }) => readyState < 2).length;
  let most = 0;
  let binaryFrames = 0;
  const rules: SubscribeRule[] = [];
  const made = function make(url: string, protocols?: string | string[]): WebSocketLike {
    const socket = new Base(url, protocols);
    sockets.push(socket);
    most = Math.max(most, open());
    const rule = new SubscribeRule();
    rules.push(rule);
    socket.addEventListener('message', ({ data }: { readonly data: unknown }) => {
      if (typeof data !== 'string') binaryFrames += 1;
      else rule.received(data);
    });
    const send = socket.send.bind(socket);
    socket.send = (text: string): void => {
      const message: SentMessage = JSON.parse(text);
      sent.push(message);
      rule.sent(message);
      send(text);
    };
    return socket;
  };
  return {
    WebSocket: made as unknown as WebSocketConstructor,
    sockets,
    sent,
    open,
    breaches: () =>
      rules.flatMap(({ breaches }, number) => breaches.map((each) => `socket ${number}: ${each}`)),
    get most() {
      return most;
    },
    get binaryFrames() {
      return binaryFrames;
    },
  };
}
