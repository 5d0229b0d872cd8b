import { describe, expect, it } from 'vitest';
import { itemOfText } from './batch.ts';
import { publishEntry } from './publish-entry.ts';

describe('publishEntry', () => {
  it('publishes data as it was written', () => {
    expect(read('{"channel":"BTC.trade","data":{"price": 1.10,"n":9223372036854775808}}')).toEqual({
      channel: 'BTC.trade',
      payload: '{"price": 1.10,"n":9223372036854775808}',
      bytes: 39,
    });
    expect(read('{"data":null,"channel":"c"}')).toMatchObject({ payload: 'null' });
  });

  it('takes a key by which it is recognized', () => {
    const text = '{"idempotencyKey":"8e03978e-40d5","channel":"c","data":1}';
    expect(read(text)).toMatchObject({ payload: '1', idempotencyKey: '8e03978e-40d5' });
  });

  it('names the field that it does not know, and the ones that it does', () => {
    const text = `{"channel":"c","data":1,"idempotency_key":"k"}`;
    const item = itemOfText(text, (source) => publishEntry(source, 64));
    expect(!item.ok && item.error.message).toMatch(/^"idempotency_key" .*`idempotencyKey`/);
  });

  it('counts bytes, not letters', () => {
    expect(read('{"channel":"c","data":"😀"}')).toMatchObject({ bytes: 6 });
  });

  it.each([
    ['bad_message', '{"channel":"c"}'],
    ['bad_message', '{"data":1}'],
    ['bad_idempotency_key', '{"channel":"c","data":1,"idempotencyKey":7}'],
    ['bad_idempotency_key', '{"channel":"c","data":1,"idempotencyKey":""}'],
    ['bad_message', '{"channel":1,"data":1}'],
    ['bad_message', '{"channel":["c"],"data":1}'],
    ['bad_message', '{"channel":"c","data":1,"idempotency_key":"k"}'],
    ['bad_message', '{"channel":"c","data":1,"__proto__":{}}'],
    ['bad_message', '{"channel":"c","data":1,"\\u0069d":1}'],
    ['bad_channel', '{"channel":"!!","data":1}'],
    ['reserved_channel', '{"channel":"tw:probe","data":1}'],
    ['publication_too_large', `{"channel":"c","data":"${'x'.repeat(100)}"}`],
  ])('refuses with %s: %s', (code, text) => {
    expect(read(text)).toBe(code);
  });
});

function read(text: string): unknown {
  const item = itemOfText(text, (source) => publishEntry(source, 64));
  return item.ok ? item.publication : item.error.code;
}
