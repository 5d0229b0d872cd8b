import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { FakeSink } from '../../outbound/testing/fake-sink.ts';
import { FrameDecoder, TEXT } from '../../outbound/testing/frame-decoder.ts';
import type { Connection } from '../connection/connection.ts';
import { FanOut } from '../fan-out.ts';
import type { FanOutSettings } from '../fan-out-settings.ts';
import { FakeUpstream } from './fake-upstream.ts';
import { DEFAULTS, RecordedEvents } from './fan-out-server.ts';
import { FakeWebSocket } from './test-connection.ts';

/** What a client receives; a publication has no `type`. */
export interface Received {
  readonly type?: string;
  readonly seq?: number;
  readonly channel?: string;
  readonly offset?: number;
  readonly [field: string]: unknown;
}

/** A client of a {@link FanOutUnderTest}. Its socket stalls and drains when the test says so. */
export class FakeClient {
  readonly webSocket = new FakeWebSocket();
  readonly sink = new FakeSink();
  readonly connection: Connection;
  /** All that was written to its socket. */
  readonly received: Received[] = [];
  readonly #fanOut: FanOut;
  readonly #decoder = new FrameDecoder();
  #decoded = 0;

  constructor(fanOut: FanOut) {
    this.#fanOut = fanOut;
    this.connection = fanOut.open(
      this.webSocket as unknown as WebSocket,
      this.sink as unknown as Socket,
    );
  }

  request(message: object): void {
    this.#fanOut.onMessage(this.connection, Buffer.from(JSON.stringify(message)), false);
  }

  /** Makes its socket take no more bytes, and the node notice that. */
  stall(): void {
    this.sink.stalled = true;
    this.request({ type: 'ping' });
    this.flush();
  }

  /** Makes its socket take all that waits, round after round. */
  drain(): void {
    this.sink.drain();
    while (this.connection.outbox.size > 0 || this.connection.outbox.isBehind) this.flush();
  }

  /** Writes as much of what waits as the socket takes. */
  flush(): void {
    this.connection.flush();
    const bytes = Buffer.concat(this.sink.copies.slice(this.#decoded));
    this.#decoded = this.sink.copies.length;
    const frames = this.#decoder.push(bytes).filter(({ opcode }) => opcode === TEXT);
    for (const { payload } of frames) this.received.push(JSON.parse(payload.toString()));
  }

  /** Flushes, and returns the offsets that it was sent of a channel. */
  offsets(channel: string): number[] {
    this.flush();
    return this.received
      .filter((message) => message.channel === channel && message.type === undefined)
      .map(({ offset }) => Number(offset));
  }

  /** Flushes, and returns the control frames of a type that it was sent. */
  controls(type: string): Received[] {
    this.flush();
    return this.received.filter((message) => message.type === type);
  }

  /** The channels in the replies to its `subscribe` requests. */
  answers(): Received[] {
    return this.controls('subscribed').flatMap(({ channels }) => channels as Received[]);
  }

  end(): void {
    this.webSocket.end(1006);
  }
}

/** A fan-out worker whose hub and sockets the test plays. */
export class FanOutUnderTest implements Disposable {
  readonly upstream = new FakeUpstream();
  readonly events = new RecordedEvents();
  readonly fanOut: FanOut;

  constructor(settings: Partial<FanOutSettings> = {}) {
    const all = { ...DEFAULTS, logBytes: 1_000_000, ...settings };
    this.fanOut = new FanOut(all, this.events, this.upstream.connect);
    this.upstream.listener.onRestored();
  }

  client(): FakeClient {
    return new FakeClient(this.fanOut);
  }

  /** A client that holds a channel whose latest position is this one. */
  subscriber(channel: string, epoch: string, offset: number): FakeClient {
    const client = this.client();
    client.request({ type: 'subscribe', channels: [channel] });
    this.upstream.acknowledge([channel], { epoch, offset });
    return client;
  }

  [Symbol.dispose](): void {
    void this.fanOut.stop();
  }
}
