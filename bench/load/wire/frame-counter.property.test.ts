import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shortOrLong } from '../../../test/support/suite/length.ts';
import { createDialect, type DialectChoice } from './dialect.ts';
import { FrameCounter, SAMPLE_BYTES } from './frame-counter.ts';
import { CLOSE, PING, PONG, serverFrame, TEXT } from './server-frame.fixture.ts';

interface Frame {
  readonly first: number;
  readonly payload: string;
}

/** Sizes on both sides of the bounds between the three forms of a frame's length, and of the sample's size. */
const size = fc.oneof(
  fc.nat(200),
  fc.nat(2_000),
  fc.constantFrom(SAMPLE_BYTES, 65_400, 65_500, 65_600, 70_000),
);

const tradewindFrame = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.maxSafeNat()), size)
      .filter(([seq]) => seq > 0)
      .map(([seq, length]) => text(`{"seq":${seq},"data":"${'d'.repeat(length)}"}`)),
  },
  { weight: 2, arbitrary: size.map((length) => text(`{"type":"${'c'.repeat(length)}"}`)) },
  { weight: 1, arbitrary: fc.nat(125).map((length) => frame(PING, 'p'.repeat(length))) },
  { weight: 1, arbitrary: fc.nat(125).map((length) => frame(PONG, 'p'.repeat(length))) },
);

const socketFrame = fc.oneof(
  size.map((length) => text(`42["e","${'d'.repeat(length)}"]`)),
  fc.constantFrom('2', '40{"sid":"a"}', '430[]', '', '4').map(text),
);

const plainFrame = fc.oneof(
  size.map((length) => text('d'.repeat(length))),
  fc.constantFrom('OK', 'OK then', 'O', '').map(text),
);

function text(payload: string): Frame {
  return frame(TEXT, payload);
}

function frame(first: number, payload: string): Frame {
  return { first, payload };
}

/** A simple decoder that gets the whole stream at once, as the oracle. */
function decode(
  frames: readonly Frame[],
  isPublication: RegExp,
  every: number,
  firstSample: number,
) {
  const heard: string[] = [];
  const counts = { publications: 0, controls: 0, missing: 0, disordered: 0 };
  let highest = 0;
  for (const { first, payload } of frames) {
    if (first === PING) heard.push(`ping ${payload}`);
    if (first !== TEXT) continue;
    const match = isPublication.exec(payload);
    if (match === null) {
      counts.controls += 1;
      heard.push(`control ${payload}`);
      continue;
    }
    counts.publications += 1;
    if ((counts.publications - firstSample) % every === 0 && counts.publications >= firstSample) {
      heard.push(`sample ${payload.slice(0, SAMPLE_BYTES)}`);
    }
    if (match[1] === undefined) continue;
    const seq = Number(match[1]);
    if (seq > highest) {
      counts.missing += seq - highest - 1;
      highest = seq;
    } else {
      counts.disordered += 1;
    }
  }
  return { heard, counts };
}

/** Feeds the stream in pieces. Each piece is overwritten after the call, as the memory of sockets is. */
function count(
  choice: DialectChoice,
  stream: Buffer,
  cuts: readonly number[],
  every: number,
  firstSample: number,
) {
  const heard: string[] = [];
  const listener = {
    control: (payload: Buffer) => heard.push(`control ${payload}`),
    sample: (start: Buffer) => heard.push(`sample ${start}`),
    closing: (code: number) => heard.push(`closing ${code}`),
    ping: (payload: Buffer) => heard.push(`ping ${payload}`),
  };
  const { shape } = createDialect(choice);
  const counter = new FrameCounter(shape, listener, every, firstSample);
  const memory = Buffer.alloc(stream.length);
  let at = 0;
  for (let i = 0; at < stream.length; i += 1) {
    const length = cuts[i % cuts.length]!;
    const piece = stream.subarray(at, at + length);
    memory.set(piece);
    counter.push(memory.subarray(0, piece.length));
    memory.fill(0xff, 0, piece.length);
    at += piece.length;
  }
  return { heard, counts: counter.counts };
}

const cuts = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 9_000 })),
  {
    minLength: 1,
    maxLength: 20,
  },
);

const sampling = fc
  .integer({ min: 1, max: 5 })
  .chain((every) => fc.tuple(fc.constant(every), fc.integer({ min: 1, max: every })));

it.each([
  [{ kind: 'tradewind' } as const, tradewindFrame, /^\{"seq":(\d+)/],
  [{ kind: 'socket.io' } as const, socketFrame, /^42()/],
  [{ kind: 'plain', subscribe: '', acknowledgement: 'OK' } as const, plainFrame, /^(?!OK)()/],
])(
  'counts what a simple decoder counts, wherever the stream is cut: %j',
  (choice, any, isPublication) => {
    const unnumbered = new RegExp(isPublication.source.replace('()', ''));
    fc.assert(
      fc.property(
        fc.array(any, { maxLength: 12 }),
        cuts,
        sampling,
        (frames, pieces, [every, first]) => {
          const stream = Buffer.concat([
            ...frames.map((each) => serverFrame(each.first, each.payload)),
            serverFrame(CLOSE, Buffer.from([3, 232])),
          ]);
          const expected = decode(frames, unnumbered, every, first);
          const actual = count(choice, stream, pieces, every, first);
          expect(actual.heard).toEqual([...expected.heard, 'closing 1000']);
          expect(actual.counts).toEqual({ ...expected.counts, bytes: stream.length });
        },
      ),
      { numRuns: shortOrLong(60, 3_000) },
    );
  },
  60_000,
);
