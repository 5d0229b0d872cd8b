import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { findFreePort } from '@tradewind/dev';

/** Where a packet of the cluster bus holds the name of its sender: 40 bytes, after 40 bytes of other fields. */
const SENDER_AT = 40;
const SENDER_BYTES = 40;

/** Whether the bus between two nodes is cut. Both are ids as `CLUSTER MYID` says. */
export type IsCut = (sender: string, receiver: string) => boolean;

interface BusLink {
  readonly sender: string;
  destroy(): void;
}

/**
 * Stands before the cluster bus of one node, which announces this port instead of its own. Every other node connects to it,
 * and each link names its sender in the first packet, so a test can cut the bus between any two nodes while clients reach both.
 */
export class ClusterBusProxy implements AsyncDisposable {
  readonly port: number;
  readonly busPort: number;
  /** The id of the node behind it; the owner sets it once the node has told it. */
  receiver = '';
  readonly #server = createServer((socket) => this.#accept(socket));
  readonly #isCut: IsCut;
  readonly #links = new Set<BusLink>();
  readonly #sockets = new Set<Socket>();

  private constructor(port: number, busPort: number, isCut: IsCut) {
    this.port = port;
    this.busPort = busPort;
    this.#isCut = isCut;
  }

  /** @param isCut is asked for each new link, and for all of them by {@link apply}. */
  static async start(isCut: IsCut): Promise<ClusterBusProxy> {
    const proxy = new ClusterBusProxy(await findFreePort(), await findFreePort(), isCut);
    proxy.#server.listen(proxy.port, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** Ends the links that are cut now. */
  apply(): void {
    for (const link of [...this.#links]) {
      if (this.#isCut(link.sender, this.receiver)) link.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(near: Socket): void {
    this.#own(near);
    let first = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      first = Buffer.concat([first, chunk]);
      if (first.length < SENDER_AT + SENDER_BYTES) return;
      near.off('data', read);
      const sender = first.toString('latin1', SENDER_AT, SENDER_AT + SENDER_BYTES);
      if (this.#isCut(sender, this.receiver)) near.destroy();
      else this.#join(sender, near, first);
    };
    near.on('data', read);
  }

  #join(sender: string, near: Socket, first: Buffer): void {
    const far = this.#own(connect({ host: '127.0.0.1', port: this.busPort }));
    const link: BusLink = {
      sender,
      destroy: () => {
        this.#links.delete(link);
        near.destroy();
        far.destroy();
      },
    };
    this.#links.add(link);
    near.on('close', () => link.destroy());
    far.on('close', () => link.destroy());
    far.write(first);
    near.pipe(far);
    far.pipe(near);
  }

  #own(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }
}
