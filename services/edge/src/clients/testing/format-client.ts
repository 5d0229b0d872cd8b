import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { FakeSink } from '../../outbound/testing/fake-sink.ts';
import { FrameDecoder } from '../../outbound/testing/frame-decoder.ts';
import type { WireFormat } from '../../outbound/wire-format.ts';
import type { Connection } from '../connection/connection.ts';
import type { FanOut } from '../fan-out.ts';
import { FakeWebSocket } from './test-connection.ts';

/** More flushes than a queue takes to empty into a socket that takes bytes. */
const FLUSHES = 100;

/** What {@link FormatClient} needs of a reader of binary frames. */
export interface FrameReader {
  /** The text that a frame stands for; undefined if it says nothing where frames are text. */
  textOf(opcode: number, payload: Uint8Array): string | undefined;
  /** How many references came so far. */
  readonly references: number;
  /** How many binary publications came so far. */
  readonly publications: number;
}

/** A client of any format on a fake socket. What it receives is text frames, or what stands for them. */
export class FormatClient {
  readonly connection: Connection;
  readonly webSocket = new FakeWebSocket();
  readonly sink = new FakeSink();
  readonly reader: FrameReader;
  readonly #fanOut: FanOut;
  readonly #frames = new FrameDecoder();
  readonly #texts: string[] = [];
  #written = 0;

  /** @param reader reads binary frames: `TextOfFrames`. */
  constructor(fanOut: FanOut, format: WireFormat, reader: FrameReader) {
    this.#fanOut = fanOut;
    this.reader = reader;
    this.connection = fanOut.open(
      this.webSocket as unknown as WebSocket,
      this.sink as unknown as Socket,
      { format },
    );
  }

  request(message: object): void {
    this.#fanOut.onMessage(this.connection, Buffer.from(JSON.stringify(message)), false);
  }

  /** Writes what waits, and returns all text frames so far, or what stands for them. */
  received(): readonly string[] {
    for (let i = 0; i < FLUSHES && !this.connection.outbox.blocked; i += 1) this.connection.flush();
    const { copies } = this.sink;
    const bytes = Buffer.concat(copies.slice(this.#written));
    this.#written = copies.length;
    const { isBinary } = this.connection.format;
    for (const { opcode, payload } of this.#frames.push(bytes)) {
      const text = isBinary ? this.reader.textOf(opcode, payload) : String(payload);
      if (text !== undefined) this.#texts.push(text);
    }
    return this.#texts;
  }

  /** The bytes that were written to its socket. */
  get bytes(): number {
    return this.sink.copies.reduce((sum, { length }) => sum + length, 0);
  }
}
