import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readSentTime } from './latency.ts';
import { MIN_PAYLOAD_BYTES, PublishCommand } from './publication-payload.ts';

it('writes a command for a JSON payload of exactly the size asked for, with the time in it', () => {
  const time = fc.integer({ min: 1e15, max: 9e15 });
  fc.assert(
    fc.property(fc.integer({ min: MIN_PAYLOAD_BYTES, max: 700 }), time, (size, micros) => {
      const command = new PublishCommand('BTC.trade', size);
      const target = Buffer.alloc(5 + command.bytes.length);
      expect(command.writeTo(target, 5, micros)).toBe(target.length);
      const [array, , name, , channel, length, payload, rest] = target
        .subarray(5)
        .toString()
        .split('\r\n');
      expect([array, name, channel, length, rest]).toEqual([
        '*3',
        'PUBLISH',
        'BTC.trade',
        `$${size}`,
        '',
      ]);
      expect(Buffer.byteLength(payload!)).toBe(size);
      expect(JSON.parse(payload!).t).toBe(micros);
      expect(readSentTime(Buffer.from(payload!))).toBe(micros);
    }),
  );
});

it('refuses a payload that cannot hold a time', () => {
  expect(() => new PublishCommand('a', MIN_PAYLOAD_BYTES - 1)).toThrow(RangeError);
});

it('does not take the envelope’s own time for the payload’s', () => {
  const frame = '{"seq":1,"channel":"t","ts":1795416898073,"data":{"t":1795416898073123}}';
  expect(readSentTime(Buffer.from(frame))).toBe(1795416898073123);
  expect(readSentTime(Buffer.from('{"seq":1,"data":{}}'))).toBeUndefined();
});
