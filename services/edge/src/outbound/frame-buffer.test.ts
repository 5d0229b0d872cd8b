import { CONTROL, Outbox, PublicationLog, SendQueues } from '@tradewind/fanout';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { LIMITS } from '../clients/testing/test-connection.ts';
import { FrameBuffer } from './frame-buffer.ts';
import { JSON_FRAMES } from './json-frames.ts';
import { createFrameMemory } from './wire-format.ts';

const BYTES = 256;
const PATIENT = { graceMs: 60_000, maxLagMs: 60_000 };

/** Bodies that all clients share: small ones, one that just fits and one that is too large for the buffer. */
const BODIES = [1, 2, 3, 20, 60, 223, 224, 400].map((length) => Buffer.alloc(length, `${length}`));

interface Entry {
  readonly content: Buffer;
  readonly isControl: boolean;
}

/** The queues of all outboxes here. */
const queues = new SendQueues(LIMITS);

function outboxOf(entries: readonly Entry[], sequence: number): Outbox {
  const outbox = new Outbox(queues, PATIENT, new PublicationLog(0));
  queues.reserveSequences(outbox.queueId, sequence - 1);
  for (const { content, isControl } of entries) {
    if (isControl) outbox.offerControl(content);
    else outbox.offer({ channel: 'a', offset: 0, body: content, publishedAt: 0 }, 0);
  }
  return outbox;
}

/** The same bytes without a memory of what was there before. */
function encodedAfresh(entries: readonly Entry[], firstSequence: number): Buffer {
  let sequence = firstSequence - 1;
  const frames = entries.map(({ content, isControl }) => {
    if (!isControl) sequence += 1;
    const memory = createFrameMemory(content.length + 64);
    const end = JSON_FRAMES.encodeFrame(memory, 0, isControl ? CONTROL : sequence, content);
    return memory.bytes.subarray(0, end);
  });
  return Buffer.concat(frames);
}

const entry = fc.record({
  content: fc.constantFrom(...BODIES),
  isControl: fc.boolean(),
});

describe('FrameBuffer', () => {
  it('gives every client its own bytes, whatever the one before it was sent', () => {
    const client = fc.record({
      // Many begin with the same, one after the other.
      from: fc.constantFrom(0, 0, 0, 1, 6),
      to: fc.nat(12),
      // Around where the number of digits changes.
      sequence: fc.constantFrom(1, 2, 8, 9, 10, 11, 97, 99, 100, 998, 1_000),
    });
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 12 }),
        fc.array(client, { minLength: 2, maxLength: 6 }),
        (entries, clients) => {
          const buffer = new FrameBuffer(BYTES, JSON_FRAMES);
          for (const { from, to, sequence } of clients) {
            const own = entries.slice(from, to);
            const outbox = outboxOf(own, sequence);
            const written: Buffer[] = [];
            while (outbox.size > 0) written.push(filled(buffer, outbox));
            expect(Buffer.concat(written)).toEqual(encodedAfresh(own, sequence));
          }
        },
      ),
      cases(2_000),
    );
  });

  it('copies nothing for a client that is sent what the two before it were', () => {
    const entries = [20, 60].map((length) => ({
      content: Buffer.alloc(length, 'a'),
      isControl: false,
    }));
    const buffer = new FrameBuffer(BYTES, JSON_FRAMES);
    buffer.fill(outboxOf(entries, 10));
    buffer.fill(outboxOf(entries, 20));
    // Contents never change, but if one does, that shows who copies it again.
    entries[0]?.content.fill('b');
    const written = filled(buffer, outboxOf(entries, 12));
    expect(written.toString('latin1', 2)).toBe(
      `{"seq":12${'a'.repeat(20)}\x81\x45{"seq":13${'a'.repeat(60)}`,
    );
  });

  it('never holds more memory than its size, but for one frame that is larger', () => {
    const buffer = new FrameBuffer(BYTES, JSON_FRAMES);
    const sizes = [400, 20, 223].map((length) => {
      buffer.fill(outboxOf([{ content: Buffer.alloc(length), isControl: false }], 1));
      return buffer.bytes.buffer.byteLength;
    });
    expect(sizes[0]).toBeGreaterThan(400);
    expect(sizes.slice(1)).toEqual([BYTES, BYTES]);
  });
});

/** A copy of what a write holds. */
function filled(buffer: FrameBuffer, outbox: Outbox): Buffer {
  const length = buffer.fill(outbox);
  return Buffer.from(buffer.bytes.subarray(0, length));
}
