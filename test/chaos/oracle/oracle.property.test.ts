import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ComplaintKind } from './complaint.ts';
import { CHANNELS, correctStream, type Event, feed, type Step } from './frame-stream.fixture.ts';
import type { PublicationFrame, ServerFrame } from './server-frame.ts';

const channel = fc.nat(CHANNELS.length - 1);
const count = fc.integer({ min: 1, max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      channel,
      answeredLate: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constantFrom('lose' as const, 'refuse' as const), channel, count }),
  fc.record({ kind: fc.constant('new-epoch' as const), channel }),
  fc.record({
    kind: fc.constant('reconnect' as const),
    missed: fc.nat(4),
    recovered: fc.boolean(),
  }),
);
const publish: Step = { kind: 'publish', channel: 0, answeredLate: false };

/** Streams in which the first channel gets four publications in a row, with other events around them. */
const streams = fc
  .tuple(fc.array(step, { maxLength: 30 }), fc.array(step, { maxLength: 30 }))
  .map(([before, after]) => ({
    events: correctStream([...before, publish, publish, publish, publish, ...after]),
    /** The index of the first of the four among the publications. */
    first: correctStream([...before, publish]).findLastIndex(isPublication),
  }));

function isPublication(event: Event): boolean {
  return event.kind === 'frame' && event.frame.type === undefined;
}

function publicationAt(events: readonly Event[], index: number): PublicationFrame {
  const event = events[index];
  if (event?.kind !== 'frame' || event.frame.type !== undefined) throw new Error('not there');
  return event.frame;
}

function frame(value: ServerFrame): Event {
  return { kind: 'frame', frame: value };
}

/** The indexes of the four publications among all events; answers lie between them. */
function four(events: readonly Event[], first: number): readonly number[] {
  const found: number[] = [];
  for (let i = first; found.length < 4; i += 1) if (isPublication(events[i]!)) found.push(i);
  return found;
}

/** Makes one mistake with the second of the four publications. */
type Defect = (events: Event[], at: readonly number[]) => void;

const DEFECTS: Record<string, { readonly expected: ComplaintKind; readonly inject: Defect }> = {
  'one is left out': {
    expected: 'silent-hole',
    inject: (events, [, second]) => void events.splice(second!, 1),
  },
  'one is delivered twice': {
    expected: 'duplicate',
    inject: (events, [, second]) => void events.splice(second! + 1, 0, events[second!]!),
  },
  'two are swapped': {
    expected: 'reorder',
    inject: (events, [, second, third]) => {
      [events[second!], events[third!]] = [events[third!]!, events[second!]!];
    },
  },
  'one has another payload': {
    expected: 'wrong-payload',
    inject: (events, [, second]) => {
      events[second!] = frame({ ...publicationAt(events, second!), data: '"other"' });
    },
  },
  'one is reported as lost and delivered': {
    expected: 'reorder',
    inject: (events, [, second]) => {
      events.splice(second!, 0, gapFor(events, second!));
    },
  },
  'one is delivered and reported as lost': {
    expected: 'bad-gap',
    inject: (events, [, second]) => {
      events.splice(second! + 1, 0, gapFor(events, second!));
    },
  },
  'one is reported as lost twice': {
    expected: 'bad-gap',
    inject: (events, [, second]) => {
      const gap = gapFor(events, second!);
      events.splice(second!, 1, gap, gap);
    },
  },
  'a gap is one too short': {
    expected: 'silent-hole',
    inject: (events, [, second, third]) => {
      const gap = gapFor(events, second!);
      events.splice(third!, 1);
      events.splice(second!, 1, gap);
    },
  },
  'a gap has a wrong count': {
    expected: 'bad-gap',
    inject: (events, [, second]) => {
      const gap = gapFor(events, second!);
      if (gap.kind === 'frame' && gap.frame.type === 'gap')
        events.splice(second!, 1, frame({ ...gap.frame, lost: 2 }));
    },
  },
  'the epoch begins again': {
    expected: 'bad-resync',
    inject: (events, [, second]) => {
      const epoch = epochAt(events, second!);
      const resync = { channel: CHANNELS[0]!, epoch, offset: 0, reason: 'history_lost' } as const;
      events.splice(second!, 0, frame({ type: 'resync', ...resync }));
    },
  },
  'a number is used twice': {
    expected: 'bad-seq',
    inject: (events, [first, second]) => {
      const { seq } = publicationAt(events, first!);
      events[second!] = frame({ ...publicationAt(events, second!), seq });
    },
  },
  'one is delivered after the channel was unsubscribed': {
    expected: 'not-subscribed',
    inject: (events, [, second]) => {
      events.splice(second!, 0, frame({ type: 'unsubscribed', channels: [CHANNELS[0]!] }));
    },
  },
  'nobody published one': {
    expected: 'unknown-publication',
    inject: (events, at) => {
      const { offset, data } = publicationAt(events, at[1]!);
      const isAnswer = (event: Event): boolean =>
        event.kind === 'answered' &&
        event.channel === CHANNELS[0] &&
        event.position.offset === offset &&
        event.payload === data;
      events.splice(events.findIndex(isAnswer), 1);
    },
  },
};

function epochAt(events: readonly Event[], index: number): string {
  const { offset } = publicationAt(events, index);
  const answer = events.findLast(
    (event, at) =>
      at < index &&
      event.kind === 'answered' &&
      event.channel === CHANNELS[0] &&
      event.position.offset === offset,
  );
  if (answer?.kind !== 'answered') throw new Error('no answer');
  return answer.position.epoch;
}

function gapFor(events: readonly Event[], index: number): Event {
  const { channel: name, offset } = publicationAt(events, index);
  const range = { from: offset!, to: offset!, lost: 1 };
  const epoch = epochAt(events, index);
  return frame({ type: 'gap', channel: name, epoch, ...range, reason: 'slow' });
}

it('has no complaint about a stream without a fault', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      expect(feed(correctStream(steps)).complaints).toEqual([]);
    }),
  );
});

for (const [name, { expected, inject }] of Object.entries(DEFECTS)) {
  it(`finds the fault if ${name}: ${expected}`, () => {
    fc.assert(
      fc.property(streams, ({ events, first }) => {
        const spoilt = [...events];
        inject(spoilt, four(spoilt, first));
        expect(feed(spoilt).complaints.map(({ kind }) => kind)).toContain(expected);
      }),
    );
  });
}
