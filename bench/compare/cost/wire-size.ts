import { deflateRawSync, zstdCompressSync } from 'node:zlib';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import type { DeflatedPayload, Publication, WireChannel, WireReference } from '@tradewind/fanout';
import { recordedTrades } from '../../../test/support/publications/trades.ts';
import { createRandom } from '../../../test/support/suite/random.ts';
import { formatTable } from '../figures/table.ts';
import { packMessage, packValues } from './message-pack.ts';

/** The largest share of v1's bytes that recorded trades may take on v2. */
const MOST_OF_TRADES = 0.27;

/** No publication may take this many bytes more on v2 than on v1. */
const MOST_MORE_BYTES = 8;

/** The parts of an edge that make frames. They are no package, so they are loaded by their paths. */
interface EdgeParts {
  encodePublication(
    channel: string,
    message: { readonly offset: number; readonly publishedAt: number; readonly payload: Buffer },
    maxPublicationBytes: number,
    wire: WireChannel,
  ): { readonly ok: boolean; readonly publication: Publication };
  readonly PayloadDeflater: new (
    clock: () => number,
  ) => {
    readonly statistics: { readonly references: number };
  };
  readonly ChannelReferences: new (
    deflater: object,
  ) => {
    readonly current: { readonly id: number; readonly bytes: Uint8Array } | undefined;
    deflate(payload: Uint8Array): DeflatedPayload | undefined;
  };
  wireReference(ref: number, id: number, data: string): WireReference;
  readonly BINARY_FRAMES: Frames;
  readonly JSON_FRAMES: Frames;
  createFrameMemory(size: number): object;
}

/** A `WireFormat` of the edge. */
interface Frames {
  readonly overheadBytes: number;
  bodyOf(publication: Publication): Uint8Array;
  encodeFrame(memory: object, start: number, sequence: number, content: Uint8Array): number;
}

const PARTS = [
  ...['hub/encode-publication', 'hub/payload-deflater', 'hub/channel-references', 'feed'],
  ...['outbound/binary-frames', 'outbound/json-frames', 'outbound/wire-format'],
];

async function loadEdge(): Promise<EdgeParts> {
  const parts = await Promise.all(
    PARTS.map((part) => import(`${WORKSPACE_ROOT}services/edge/src/${part}.ts`)),
  );
  return Object.assign({}, ...parts) as EdgeParts;
}

const CHANNEL = 'ETH.trade';
const MAX_PUBLICATION_BYTES = 64 * 1024;

/** A client that has been connected for a while. */
const FIRST_SEQUENCE = 20_000;

/** A channel that has published for a while, and the time since its node subscribed to it, in ms: a day. */
const FIRST_OFFSET = 1_000_000;
const BASE_AGE_MS = 86_400_000;

const PUBLICATIONS = 2_000;
const LARGE_PUBLICATIONS = 40;

/** What is published on one channel. */
export interface PayloadShape {
  readonly name: string;
  readonly payloads: readonly string[];
}

/** The bytes that one way to send a shape takes, and what is left of v1's. */
export interface WireSize {
  readonly shape: string;
  readonly publications: number;
  readonly payloadBytes: number;
  /** Bytes of all frames, their WebSocket headers and references included. */
  readonly v1: number;
  readonly v2: number;
  readonly references: number;
  /** CPU time to deflate one publication, in µs. */
  readonly deflateUs: number;
  /** The most that one publication takes more on v2 than on v1, in bytes. */
  readonly mostMore: number;
  /** The same frames as v2 with another payload. */
  readonly others: Readonly<Record<OtherWay, number>>;
}

const OTHER_WAYS = ['msgpack', 'msgpack, keys known', 'deflate alone', 'zstd + reference'] as const;
type OtherWay = (typeof OTHER_WAYS)[number];

export async function measureWireSizes(quick: boolean): Promise<readonly WireSize[]> {
  const edge = await loadEdge();
  return shapes(quick ? 0.1 : 1).map((shape) => measureShape(edge, shape));
}

/** @param share of the usual number of publications. */
function shapes(share: number): readonly PayloadShape[] {
  const random = createRandom(1);
  const trades = recordedTrades();
  const count = Math.ceil(PUBLICATIONS * share);
  const made = (publications: number, make: (n: number) => unknown): string[] =>
    Array.from({ length: publications }, (_, n) => JSON.stringify(make(n)));
  const price = (): string => (1_650 + random.below(2_000) / 100).toFixed(2);
  const level = (): [string, string] => [price(), (random.below(30_000) / 1_000).toFixed(3)];
  const word = (): string => WORDS[random.below(WORDS.length)] as string;
  const letters = (bytes: number): string =>
    Array.from({ length: bytes }, () => LETTERS[random.below(LETTERS.length)]).join('');
  return [
    {
      name: 'recorded trades',
      payloads: Array.from({ length: count }, (_, n) => trades[n % trades.length] as string),
    },
    {
      name: 'four trades each',
      payloads: Array.from({ length: count }, (_, n) => {
        const four = Array.from({ length: 4 }, (_unused, i) => trades[(4 * n + i) % trades.length]);
        return `[${four.join(',')}]`;
      }),
    },
    {
      name: 'nested',
      payloads: made(count, (n) => ({
        type: 'order',
        order: {
          id: `o-${n}`,
          account: { id: random.below(500), tier: { name: 'gold', level: random.below(4) } },
        },
        fills: [
          { venue: { name: 'kraken', region: 'eu' }, price: price(), size: random.below(900) },
        ],
      })),
    },
    {
      name: 'arrays',
      payloads: made(count, (n) => ['book', n, Array.from({ length: 20 }, level)]),
    },
    {
      name: 'text',
      payloads: made(count, (n) => ({ id: n, text: Array.from({ length: 60 }, word).join(' ') })),
    },
    {
      name: '64 KB',
      payloads: made(Math.ceil(LARGE_PUBLICATIONS * share), (n) => ({
        n,
        levels: Array.from({ length: 3_000 }, level),
      })),
    },
    { name: 'incompressible', payloads: made(count, () => letters(400)) },
    { name: 'tiny', payloads: made(count, (n) => n) },
  ];
}

const WORDS = (
  'the exchange said that trading in this pair was halted while orders were matched again after an outage of its engine and members ' +
  'must check their positions before the market opens with an auction at noon'
).split(' ');
/** 64 letters: six bits a byte, so that a quarter is left to any compression. */
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function measureShape(edge: EdgeParts, { name, payloads }: PayloadShape): WireSize {
  const { BINARY_FRAMES, JSON_FRAMES } = edge;
  const frameBytes = (format: Frames, sequence: number, content: Uint8Array): number => {
    const memory = edge.createFrameMemory(content.length + format.overheadBytes);
    return format.encodeFrame(memory, 0, sequence, content);
  };
  const deflater = new edge.PayloadDeflater(STOPPED_CLOCK);
  const references = new edge.ChannelReferences(deflater);
  const now = 1_795_416_898_073;
  const wire: WireChannel = { ref: 300, ts: now - BASE_AGE_MS, reference: undefined };
  const sums = { v1: 0, v2: 0, payloadBytes: 0, mostMore: Number.NEGATIVE_INFINITY, deflateUs: 0 };
  const others: Record<OtherWay, number> = {
    ...{ msgpack: 0, 'msgpack, keys known': 0, 'deflate alone': 0, 'zstd + reference': 0 },
  };
  for (const [n, text] of payloads.entries()) {
    const payload = Buffer.from(text);
    const message = { offset: FIRST_OFFSET + n, publishedAt: now + n, payload };
    const encoded = edge.encodePublication(CHANNEL, message, MAX_PUBLICATION_BYTES, wire);
    if (!encoded.ok) throw new Error(`${name} has a payload that cannot be delivered`);
    const begin = process.cpuUsage();
    const deflated = references.deflate(payload);
    const { user, system } = process.cpuUsage(begin);
    sums.deflateUs += user + system;
    const { current } = references;
    if (deflated !== undefined && current !== undefined && current.id !== wire.reference?.id) {
      wire.reference = edge.wireReference(
        wire.ref,
        current.id,
        Buffer.from(current.bytes).toString(),
      );
      sums.v2 += frameBytes(BINARY_FRAMES, 0, wire.reference.frame);
    }
    const publication = { ...encoded.publication, deflated };
    const sequence = FIRST_SEQUENCE + n;
    const v1 = frameBytes(JSON_FRAMES, sequence, JSON_FRAMES.bodyOf(publication));
    const v2 = frameBytes(BINARY_FRAMES, sequence, BINARY_FRAMES.bodyOf(publication));
    const envelope = v2 - (deflated?.bytes.length ?? payload.length);
    const dictionary = current === undefined ? undefined : Buffer.from(current.bytes);
    sums.v1 += v1;
    sums.v2 += v2;
    sums.payloadBytes += payload.length;
    sums.mostMore = Math.max(sums.mostMore, v2 - v1);
    const value: unknown = JSON.parse(text);
    others.msgpack += envelope + packMessage(value).length;
    others['msgpack, keys known'] += envelope + packValues(value).length;
    others['deflate alone'] += envelope + smaller(deflateRawSync(payload), payload);
    others['zstd + reference'] += envelope + smaller(zstd(payload, dictionary), payload);
  }
  return {
    ...sums,
    shape: name,
    publications: payloads.length,
    references: deflater.statistics.references,
    deflateUs: sums.deflateUs / payloads.length,
    others,
  };
}

/** By this clock deflating takes no time, so that no budget is used up: sizes are measured here. */
const STOPPED_CLOCK = (): number => 0;

function zstd(payload: Buffer, dictionary: Buffer | undefined): Buffer {
  return zstdCompressSync(payload, dictionary === undefined ? {} : { dictionary });
}

function smaller(bytes: Uint8Array, payload: Uint8Array): number {
  return Math.min(bytes.length, payload.length);
}

export function describeWireSizes(sizes: readonly WireSize[]): string {
  const percent = (bytes: number, of: number): string => `${((100 * bytes) / of).toFixed(1)} %`;
  const rows = sizes.map((size) => {
    const { shape, publications, payloadBytes, v1, v2, references, deflateUs, others } = size;
    return [
      shape,
      (payloadBytes / publications).toFixed(0),
      (v1 / publications).toFixed(0),
      (v2 / publications).toFixed(1),
      percent(v2, v1),
      ...OTHER_WAYS.map((way) => percent(others[way], v1)),
      String(references),
      deflateUs.toFixed(1),
    ];
  });
  const header = [
    ...['published', 'payload', 'v1', 'v2', 'v2/v1', ...OTHER_WAYS, 'references', 'µs'],
  ];
  return [
    'Bytes of one publication with its WebSocket header, and what is left of v1’s; references are included',
    '',
    formatTable(header, rows),
  ].join('\n');
}

/** The conditions that the sizes do not meet. */
export function wireSizeFailures(sizes: readonly WireSize[]): readonly string[] {
  const failures = sizes
    .filter(({ mostMore }) => mostMore > MOST_MORE_BYTES)
    .map(({ shape, mostMore }) => `${shape}: a publication takes ${mostMore} bytes more on v2`);
  for (const { shape, v1, v2 } of sizes) {
    if (!shape.endsWith('trades') || v2 <= MOST_OF_TRADES * v1) continue;
    failures.push(`${shape}: v2 takes ${((100 * v2) / v1).toFixed(1)} % of v1’s bytes`);
  }
  return failures;
}
