import { getHeapStatistics } from 'node:v8';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import {
  createDeliveryRound,
  deliver,
  Outbox,
  type Publication,
  PublicationLog,
  SendQueues,
  SubscriptionIndex,
} from '@tradewind/fanout';
import { encodeBinaryBody, encodePublicationBody } from '@tradewind/protocol';

/** The format of what is sent: text frames or binary ones. */
export type HotPathWire = 'v1' | 'v2';

/** The load of a measurement: the path of a publication from the index into a socket, without the socket. */
export interface HotPathLoad {
  readonly clients: number;
  readonly wire: HotPathWire;
  /** The payload of a publication as it leaves, in bytes. */
  readonly payloadBytes: number;
  /** Publications delivered before each flush: the number that one write carries. */
  readonly batch: number;
  /** Deliveries to measure, after the same number as warm-up. */
  readonly deliveries: number;
}

/** Costs per delivery, which is one publication to one client. */
export interface HotPathCost {
  readonly deliverNs: number;
  readonly writeNs: number;
  /** Bytes allocated on the JavaScript heap. */
  readonly heapBytes: number;
  /** Bytes allocated outside of it, in buffers. */
  readonly bufferBytes: number;
  /** How often the heap shrank during the measurement; if it did, `heapBytes` is too low. */
  readonly collections: number;
}

/**
 * The measured part of the edge's writer. The edge is a program that exports nothing, so its files are loaded by their
 * paths.
 */
interface FrameWriterModule {
  readonly FrameWriter: new (
    format: unknown,
  ) => {
    write(outbox: Outbox, sink: NullSink, cautious: boolean, unblocked: () => void): void;
  };
}

interface FramesModule {
  readonly JSON_FRAMES?: unknown;
  readonly BINARY_FRAMES?: unknown;
}

/** A socket whose kernel always has room. */
interface NullSink {
  readonly writableLength: number;
  write(bytes: Uint8Array): boolean;
}

interface Client {
  readonly outbox: Outbox;
  readonly queueId: number;
  readonly group: number;
}

const CHANNEL = 'BTC.trade';

/** The edge's defaults. The hot path only ever reaches the slots. */
const OUTBOX_LIMITS = {
  slots: 512,
  bytes: 1024 * 1024,
  publicationBytes: 65_792,
  controls: 1_024,
  controlBytes: 512 * 1024,
};

/** Distinct publications that take turns, so that no branch sees the same one twice in a row. */
const PUBLICATIONS = 64;

/** The heap's size is read every this many flushes. */
const FLUSHES_PER_READING = 8;

/** Measures {@link deliver} and the edge's `FrameWriter.write` into a sink that accepts everything. */
export async function measureHotPath(load: HotPathLoad): Promise<HotPathCost> {
  const room = `${WORKSPACE_ROOT}services/edge/src/outbound`;
  const { FrameWriter } = (await import(`${room}/frame-writer.ts`)) as FrameWriterModule;
  const file = load.wire === 'v1' ? 'json-frames' : 'binary-frames';
  const { JSON_FRAMES, BINARY_FRAMES } = (await import(`${room}/${file}.ts`)) as FramesModule;
  const writer = new FrameWriter(JSON_FRAMES ?? BINARY_FRAMES);
  const index = new SubscriptionIndex<Client>();
  const policy = { graceMs: 2_000, maxLagMs: 30_000 };
  const log = new PublicationLog(16 * 1024 * 1024);
  const queues = new SendQueues(OUTBOX_LIMITS);
  const clients = Array.from({ length: load.clients }, () => {
    const outbox = new Outbox(queues, policy, log);
    return { outbox, queueId: outbox.queueId, group: 0 };
  });
  for (const client of clients) index.add(CHANNEL, client);
  const publications = Array.from({ length: PUBLICATIONS }, () => publicationOf(load));
  const round = createDeliveryRound<Client>();
  const sink: NullSink = { writableLength: 0, write: () => true };
  const ignore = (): void => {};
  let next = 0;
  let deliverMs = 0;
  let writeMs = 0;

  function deliverAndFlush(): void {
    const startedAt = performance.now();
    for (let i = 0; i < load.batch; i += 1) {
      next = (next + 1) % PUBLICATIONS;
      const publication = publications[next] as Publication;
      log.append(publication);
      deliver(publication, index.audience(CHANNEL), queues, startedAt, round);
    }
    const deliveredAt = performance.now();
    for (const { outbox } of round.dirty) writer.write(outbox, sink, false, ignore);
    round.dirty.length = 0;
    deliverMs += deliveredAt - startedAt;
    writeMs += performance.now() - deliveredAt;
  }

  const flushes = Math.ceil(load.deliveries / (load.clients * load.batch));
  for (let i = 0; i < flushes; i += 1) deliverAndFlush();
  globalThis.gc?.();
  deliverMs = 0;
  writeMs = 0;
  const heap = new GrowthMeter(() => getHeapStatistics().used_heap_size);
  const buffers = new GrowthMeter(() => process.memoryUsage().arrayBuffers);
  for (let i = 0; i < flushes; i += 1) {
    deliverAndFlush();
    if (i % FLUSHES_PER_READING > 0 && i < flushes - 1) continue;
    heap.read();
    buffers.read();
  }
  const deliveries = flushes * load.clients * load.batch;
  return {
    deliverNs: (deliverMs * 1e6) / deliveries,
    writeNs: (writeMs * 1e6) / deliveries,
    heapBytes: heap.grown / deliveries,
    bufferBytes: buffers.grown / deliveries,
    collections: heap.shrunk,
  };
}

/** Adds up the growth of a quantity, and ignores the times that it shrinks. */
class GrowthMeter {
  grown = 0;
  shrunk = 0;
  readonly #measure: () => number;
  #last: number;

  constructor(measure: () => number) {
    this.#measure = measure;
    this.#last = measure();
  }

  read(): void {
    const now = this.#measure();
    if (now < this.#last) this.shrunk += 1;
    else this.grown += now - this.#last;
    this.#last = this.#measure();
  }
}

function publicationOf({ wire, payloadBytes }: HotPathLoad): Publication {
  const empty = JSON.stringify({ pad: '' });
  const json = JSON.stringify({ pad: 'x'.repeat(Math.max(0, payloadBytes - empty.length)) });
  const payload = Buffer.from(json);
  const publishedAt = Date.now();
  const body =
    wire === 'v1'
      ? encodePublicationBody(CHANNEL, undefined, publishedAt, payload)
      : encodeBinaryBody({ ref: 1, offset: 0, time: 0, payload });
  return { channel: CHANNEL, offset: 0, body, publishedAt };
}
