import { deflateRawSync } from 'node:zlib';
import {
  BINARY_SUBPROTOCOL,
  type BinaryBody,
  encodeBinaryBody,
  varintBytes,
  writeVarint,
} from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { exactNumbers } from '../exact-numbers.ts';
import { settle } from '../testing/fake-runtime.ts';
import { Bench } from '../testing/fake-socket.ts';
import { BINARY } from './wire-format.ts';

const BASE = 1_796_000_000_000;
const REFERENCE = '{"symbol":"BTC","price":"64123.50","size":"0.0125"}';
const LATER = '{"symbol":"BTC","price":"64123.75","size":"0.0200"}';

function frameOf(seq: number, body: Partial<BinaryBody>): ArrayBuffer {
  const payload = Buffer.from('{}');
  const shared = encodeBinaryBody({ ref: 1, offset: 0, time: 0, payload, ...body });
  const frame = new Uint8Array(varintBytes(seq) + shared.length);
  frame.set(shared, writeVarint(frame, 0, seq));
  return frame.buffer;
}

function deflatedFrame(seq: number, offset: number): ArrayBuffer {
  const payload = deflateRawSync(LATER, { dictionary: Buffer.from(REFERENCE) });
  return frameOf(seq, { offset, time: 250, payload, reference: 1 });
}

async function begin(bench: Bench): Promise<ReturnType<Bench['accept']>> {
  const socket = await bench.accept({ protocol: BINARY_SUBPROTOCOL });
  socket.answer('BTC.trade', { ts: BASE, epoch: 'e1', offset: 10 });
  socket.tell({ type: 'reference', ref: 1, id: 1, data: REFERENCE });
  return socket;
}

describe('a client with binary frames', () => {
  it('offers them first, and reads what comes raw and deflated', async () => {
    const bench = new Bench({ format: BINARY });
    const { items } = bench.collect(bench.client.channel('BTC.trade').messages());
    const socket = await begin(bench);
    expect(socket.protocols).toEqual(['tradewind.v2', 'tradewind.v1.json']);
    expect(socket.binaryType).toBe('arraybuffer');
    socket.tellBytes(frameOf(1, { offset: 11, payload: Buffer.from(REFERENCE) }));
    socket.tellBytes(deflatedFrame(2, 12));
    await settle();
    expect(items).toMatchObject([
      { channel: 'BTC.trade', offset: 11, epoch: 'e1', ts: BASE, data: JSON.parse(REFERENCE) },
      { offset: 12, ts: BASE + 250, data: JSON.parse(LATER) },
    ]);
    // It is not a message that the client does not know.
    expect(bench.client.stats()).toMatchObject({ received: 2, ignored: 0 });
  });

  it('shows a reviver the data', async () => {
    const bench = new Bench({ format: BINARY, reviver: exactNumbers });
    const { items } = bench.collect(bench.client.channel('BTC.trade').messages());
    const socket = await begin(bench);
    socket.tellBytes(
      frameOf(1, { offset: 11, payload: Buffer.from('{"id":12345678901234567890}') }),
    );
    await settle();
    expect(items).toMatchObject([{ data: { id: '12345678901234567890' } }]);
  });

  it('reads JSON of a node that does not know them', async () => {
    const bench = new Bench({ format: BINARY });
    const { items } = bench.collect(bench.client.channel('BTC.trade').messages());
    const socket = await bench.live('BTC.trade');
    socket.publish('BTC.trade', 11);
    await settle();
    expect(items).toMatchObject([{ offset: 11, data: { n: 11 } }]);
  });

  it('counts a publication for a channel that it gives up as ignored', async () => {
    const bench = new Bench({ format: BINARY });
    const subscription = bench.client.channel('BTC.trade').subscribe(() => {});
    bench.collect(bench.client.channel('ETH.trade').messages());
    const socket = await begin(bench);
    socket.answer('ETH.trade', { ref: 2, ts: BASE, epoch: 'e1', offset: 0 });
    subscription.unsubscribe();
    await bench.runtime.pass(3_000);
    socket.tellBytes(frameOf(1, { offset: 11 }));
    await settle();
    expect(bench.events.error).toEqual([]);
    expect(bench.client.state.name).toBe('online');
  });

  it.each([
    ['a frame that is cut', new Uint8Array([1, 1]).buffer, 'truncated'],
    ['a channel that was not told', frameOf(1, { ref: 9 }), 'unknown_channel'],
    ['a reference that was not told', frameOf(1, { reference: 2 }), 'unknown_reference'],
    ['what cannot be inflated', frameOf(1, { reference: 1 }), 'bad_deflate'],
  ])('connects anew after %s, and resumes', async (_, frame, code) => {
    const bench = new Bench({ format: BINARY });
    const { items } = bench.collect(bench.client.channel('BTC.trade').messages());
    const first = await begin(bench);
    first.tellBytes(frame);
    await settle();
    expect(bench.events.error).toMatchObject([{ code: 'protocol_error', cause: { code } }]);
    expect(first.closedWith).toBeDefined();
    await bench.runtime.pass(30_000);
    const second = await bench.accept({ protocol: BINARY_SUBPROTOCOL });
    expect(second).not.toBe(first);
    expect(second.asked).toMatchObject([{ since: { epoch: 'e1', offset: 10 } }]);
    // What the first connection was told is not known here.
    const answer = { ref: 4, ts: BASE, epoch: 'e1', offset: 11, recovered: true, replayed: 1 };
    second.answer('BTC.trade', answer);
    second.tellBytes(frameOf(1, { ref: 4, offset: 11, payload: Buffer.from(LATER) }));
    await settle();
    expect(items).toMatchObject([{ offset: 11, data: JSON.parse(LATER) }]);
  });

  it('ends after two connections in a row with frames that cannot be read', async () => {
    const bench = new Bench({ format: BINARY });
    bench.collect(bench.client.channel('BTC.trade').messages());
    for (let i = 0; i < 2; i += 1) {
      const socket = await begin(bench);
      socket.tellBytes(frameOf(1, { payload: Buffer.from('{') }));
      await settle();
      if (i === 0) await bench.runtime.pass(2_000);
    }
    expect(bench.client.state).toMatchObject({ name: 'closed', error: { code: 'protocol_error' } });
  });
});
