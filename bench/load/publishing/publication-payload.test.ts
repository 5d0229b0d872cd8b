import { PUBLISH_SCRIPT } from '@tradewind/bus';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readSentTime } from '../wire/sent-time.ts';
import { MIN_PAYLOAD_BYTES, PublishCommand } from './publication-payload.ts';

it('writes a command for a JSON payload of exactly the requested size, with the time in it', () => {
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

it('writes a call of the publish script in the same way', () => {
  const command = new PublishCommand('BTC.trade', 40, { historySize: 5, historyTtlMs: 7 });
  const target = Buffer.alloc(command.bytes.length);
  expect(command.writeTo(target, 0, 1795416898073123)).toBe(target.length);
  const lines = target.toString().split('\r\n');
  const words = lines.filter((_, index) => index % 2 === 0).slice(1);
  const payload = '{"t":1795416898073123,"p":"xxxxxxxxxxx"}';
  const keys = ['{BTC.trade}:meta', '{BTC.trade}:log'];
  const args = ['BTC.trade', payload, '5', '7', '', '0', '0'];
  expect(lines[0]).toBe('*12');
  expect(words).toEqual(['EVALSHA', PUBLISH_SCRIPT.sha, '2', ...keys, ...args]);
});

it('refuses a payload that cannot hold a time', () => {
  expect(() => new PublishCommand('a', MIN_PAYLOAD_BYTES - 1)).toThrow(RangeError);
});

it('does not mistake the time of the envelope for that of the payload', () => {
  const frame = '{"seq":1,"channel":"t","ts":1795416898073,"data":{"t":1795416898073123}}';
  expect(readSentTime(Buffer.from(frame))).toBe(1795416898073123);
  expect(readSentTime(Buffer.from('{"seq":1,"data":{}}'))).toBeUndefined();
});
