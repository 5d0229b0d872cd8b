import { describe, expect, it } from 'vitest';
import { createDialect } from './dialect.ts';
import { FrameCounter, SAMPLE_BYTES } from './frame-counter.ts';
import { CLOSE, PING, PONG, serverFrame, TEXT } from './server-frame.fixture.ts';

const { shape } = createDialect({ kind: 'tradewind' });

function publication(seq: number, filler = ''): Buffer {
  return serverFrame(TEXT, `{"seq":${seq},"channel":"a","ts":1,"data":"${filler}"}`);
}

function start(sampleEvery = 1_000) {
  const heard: string[] = [];
  const listener = {
    control: (payload: Buffer) => heard.push(`control ${payload}`),
    sample: (beginning: Buffer) => heard.push(`sample ${beginning}`),
    closing: (code: number) => heard.push(`closing ${code}`),
    ping: (payload: Buffer) => heard.push(`ping ${payload}`),
  };
  const counter = new FrameCounter(shape, listener, sampleEvery, sampleEvery);
  return { counter, heard };
}

describe('FrameCounter', () => {
  it('counts publications and bytes, and reports every frame that is not a publication', () => {
    const { counter, heard } = start();
    const stream = Buffer.concat([
      serverFrame(TEXT, '{"type":"welcome"}'),
      publication(1),
      serverFrame(PING, 'you?'),
      serverFrame(PONG, ''),
      publication(2, 'x'.repeat(300)),
      publication(3, 'x'.repeat(70_000)),
      serverFrame(CLOSE, Buffer.from([0x0f, 0xa8])),
    ]);
    counter.push(stream);
    expect(heard).toEqual(['control {"type":"welcome"}', 'ping you?', 'closing 4008']);
    expect(counter.counts).toEqual({
      publications: 3,
      controls: 1,
      bytes: stream.length,
      missing: 0,
      disordered: 0,
    });
  });

  it('counts a publication at its last byte, not before', () => {
    const { counter } = start();
    const frame = publication(1, 'x'.repeat(1_000));
    counter.push(frame.subarray(0, -1));
    expect(counter.counts.publications).toBe(0);
    counter.push(frame.subarray(-1));
    expect(counter.counts.publications).toBe(1);
  });

  it('finds numbers that were left out, from the first one on', () => {
    const { counter } = start();
    counter.push(Buffer.concat([publication(3), publication(4), publication(9)]));
    expect(counter.counts).toMatchObject({ publications: 3, missing: 6, disordered: 0 });
  });

  it('does not take a late or repeated number for a new sequence', () => {
    const { counter } = start();
    counter.push(Buffer.concat([1, 2, 5, 3, 5, 6].map((seq) => publication(seq))));
    expect(counter.counts).toMatchObject({ missing: 2, disordered: 2 });
  });

  it('reads numbers of all lengths, and no digits beyond the frame', () => {
    const { counter } = start();
    counter.push(Buffer.concat([serverFrame(TEXT, '{"seq":1'), publication(2)]));
    expect(counter.counts).toMatchObject({ missing: 0, disordered: 0 });
    counter.push(publication(Number.MAX_SAFE_INTEGER));
    expect(counter.counts.missing).toBe(Number.MAX_SAFE_INTEGER - 3);
  });

  it('shows the beginning of a sampled publication, however the stream is cut', () => {
    const frame = publication(1, 'x'.repeat(1_000));
    const text = frame.subarray(4).toString();
    for (let cut = 1; cut < frame.length; cut += 1) {
      const { counter, heard } = start(1);
      const first = Buffer.from(frame.subarray(0, cut));
      counter.push(first);
      first.fill(0);
      counter.push(frame.subarray(cut));
      expect(heard).toEqual([`sample ${text.slice(0, SAMPLE_BYTES)}`]);
    }
  });

  it('accepts a close frame without a code, and reads nothing after it', () => {
    const { counter, heard } = start();
    counter.push(Buffer.concat([serverFrame(CLOSE, ''), publication(1)]));
    counter.push(publication(2));
    expect(heard).toEqual(['closing 1005']);
    expect(counter.counts.publications).toBe(0);
  });

  it.each([
    ['a masked frame', Buffer.from([0x81, 0x80, 1, 2, 3, 4])],
    ['a fragment', serverFrame(0x01, 'half')],
    ['a compressed frame', serverFrame(0xc1, 'x')],
    ['a binary frame', serverFrame(0x82, 'x')],
    ['an unknown opcode', serverFrame(0x83, 'x')],
    ['a long ping', serverFrame(PING, 'x'.repeat(126))],
    [
      'an endless control frame',
      Buffer.concat([
        Buffer.from([TEXT, 127, 0, 0, 1, 0, 0, 0, 0, 0]),
        Buffer.from('{"type":"subscribed","channels":['),
      ]),
    ],
  ])('refuses %s', (_what, bytes) => {
    expect(() => start().counter.push(bytes)).toThrow(/frame/);
  });
});
