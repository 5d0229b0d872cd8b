import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { deflateRawSync } from 'node:zlib';
import { BinaryFrameError, encodeBinaryBody, varintBytes, writeVarint } from '@tradewind/protocol';
import { expect, it } from 'vitest';
import { shortOrLong } from '../../../../test/support/suite/length.ts';
import { inflate } from './inflate.ts';
import { MessageDecoder } from './message-decoder.ts';

const FRAMES = shortOrLong(20_000, 1_000_000);
const REFERENCE = '{"symbol":"ETH","id":"1206419187","price":"1666.8","size":"26.062"}';

/** What the heap may grow by, in bytes, from the middle of the run to its end: less than half of what these frames take. */
const GROWTH_BYTES = 500_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of the heap that are in use, without garbage: files that share this process leave theirs behind. */
function heapInUse(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

it(`${FRAMES} damaged frames are read or refused with a cause, and leave nothing behind`, () => {
  const seed = Date.now();
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const decoder = new MessageDecoder(inflate, 4_096);
  const channels = [{ channel: 'a', ref: 1, ts: 1_796_000_000_000 }];
  decoder.told({ type: 'subscribed', id: 1, channels, rejected: [], done: true });
  decoder.told({ type: 'reference', ref: 1, id: 1, data: REFERENCE });
  const text = Buffer.from(REFERENCE.replace('1666.8', '1666.79'));
  const whole = [
    { offset: 7, time: 5, payload: text },
    {
      ...{ offset: 70_000, time: -5, skipped: 3, reference: 1 },
      payload: deflateRawSync(text, { dictionary: Buffer.from(REFERENCE) }),
    },
    { offset: 2 ** 50, time: 0, payload: deflateRawSync(text), reference: 0 },
  ].map((body, i) => {
    const shared = encodeBinaryBody({ ref: 1, ...body });
    const frame = new Uint8Array(varintBytes(i + 1) + shared.length);
    frame.set(shared, writeVarint(frame, 0, i + 1));
    return frame;
  });
  for (const frame of whole) {
    expect(decoder.publication(frame.buffer, undefined)[0]).toMatchObject({ channel: 'a' });
  }
  const kinds = new Set<string>();
  let heapBefore = 0;
  for (let i = 0; i < FRAMES; i += 1) {
    const frame = whole[i % whole.length]!.slice(random(8) === 0 ? 1 : 0);
    for (let times = 1 + random(3); times > 0; times -= 1)
      frame[random(frame.length)] = random(256);
    const cut = random(8) === 0 ? frame.slice(0, random(frame.length)) : frame;
    try {
      decoder.publication(cut.buffer, undefined);
      kinds.add('read');
    } catch (error) {
      if (error instanceof BinaryFrameError) kinds.add(error.code);
      else if (error instanceof SyntaxError) kinds.add('no JSON');
      else if (error instanceof TypeError) kinds.add('no UTF-8');
      else throw new Error(`seed ${seed}`, { cause: error });
    }
    if (i === Math.floor(FRAMES / 2)) heapBefore = heapInUse();
  }
  expect([...kinds]).toEqual(
    expect.arrayContaining(['read', 'no JSON', 'no UTF-8', 'bad_deflate', 'truncated']),
  );
  const growth = heapInUse() - heapBefore;
  expect(growth).toBeLessThan(GROWTH_BYTES);
});
