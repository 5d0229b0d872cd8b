import { expect, it } from 'vitest';
import { exactNumbers } from '../exact-numbers.ts';
import { parseFrame } from './frames.ts';

const FRAME =
  '{"seq":1,"channel":"c","offset":2,"ts":3,"data":{"id":12345678901234567890,"price":1.50}}';

it('reads a frame', () => {
  expect(parseFrame(FRAME, undefined)).toMatchObject({
    channel: 'c',
    offset: 2,
    data: { price: 1.5 },
  });
  expect(parseFrame('{"type":"pong"}', exactNumbers)).toEqual({ type: 'pong' });
  for (const text of ['{', '1', 'null', '"text"'])
    expect(() => parseFrame(text, undefined)).toThrow();
});

it('shows a reviver the data and nothing else', () => {
  const keys: string[] = [];
  const frame = parseFrame(FRAME, (key, value) => {
    keys.push(key);
    return value;
  });
  expect(keys).toEqual(['id', 'price', '']);
  expect(frame).toMatchObject({ seq: 1, ts: 3 });
});

it('reads data that looks like an envelope', () => {
  const text = '{"seq":1,"channel":"c","ts":3,"data":{"data":"\\"data\\":"}}';
  expect(parseFrame(text, exactNumbers)).toEqual(JSON.parse(text));
});

it('keeps the digits that a number would lose', () => {
  expect(parseFrame(FRAME, exactNumbers)).toMatchObject({
    data: { id: '12345678901234567890', price: 1.5 },
  });
  const numbers =
    '{"data":[0.1,-12.50,1e21,0.000000000000000001,123456789012345,1234567890123456]}';
  expect(parseFrame(numbers, exactNumbers)).toEqual({
    data: [0.1, -12.5, 1e21, 1e-18, 123456789012345, '1234567890123456'],
  });
});
