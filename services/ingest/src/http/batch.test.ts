import { HttpError } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import type { Item } from '../publishing/item.ts';
import { type BatchFormat, batchFormatOf, itemsOf } from './batch.ts';

describe('batchFormatOf', () => {
  it.each([
    ['application/x-ndjson', 'ndjson'],
    ['Application/X-NDJSON; charset=utf-8', 'ndjson'],
    ['application/jsonl', 'ndjson'],
    ['application/json', 'json'],
    ['application/x-www-form-urlencoded', 'json'],
    [undefined, 'json'],
  ])('%s: %s', (contentType, expected) => {
    expect(batchFormatOf(contentType)).toBe(expected);
  });
});

describe('itemsOf', () => {
  it('takes one object, an array of them, or one a line', () => {
    expect(read(' {"a":1} ')).toEqual(['{"a":1}']);
    expect(read('[ {"a":1.0} ,{"b":[2 ]}]')).toEqual(['{"a":1.0}', '{"b":[2 ]}']);
    expect(read('{"a":1.0}\r\n\n  {"b":2 }', 'ndjson')).toEqual(['{"a":1.0}', '{"b":2 }']);
  });

  it('lets a wrong entry spoil only itself', () => {
    expect(read('[{"a":1},2,null,[],"x"]')).toEqual([
      '{"a":1}',
      'bad_message',
      'bad_message',
      'bad_message',
      'bad_message',
    ]);
    expect(read('{"a":1}\n{"a":\n{"b":2}', 'ndjson')).toEqual(['{"a":1}', 'bad_json', '{"b":2}']);
  });

  it.each([
    ['bad_json', '', 'json'],
    ['bad_json', '{"a":1}\n{"b":2}', 'json'],
    ['bad_json', '\ufeff{}', 'json'],
    ['bad_message', '[]', 'json'],
    ['bad_message', '\n\n', 'ndjson'],
    ['message_too_large', '[{},{},{},{},{},{}]', 'json'],
    ['message_too_large', '{}\n{}\n{}\n{}\n{}\n{}', 'ndjson'],
  ] as const)('refuses with %s the whole of %j', (code, body, format) => {
    expect(refusalOf(Buffer.from(body), format)).toBe(code);
  });

  it('refuses what is not UTF-8', () => {
    expect(refusalOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'json')).toBe('bad_payload');
  });

  it('does not take a byte order mark for JSON, on a line either', () => {
    expect(read('\ufeff{}\n{}', 'ndjson')).toEqual(['bad_json', '{}']);
  });

  it('survives deep nesting', () => {
    const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect(read(deep)).toEqual([deep]);
  });
});

function items(body: Uint8Array, format: BatchFormat): readonly Item[] {
  return itemsOf(body, format, 5, ({ text, span }) => {
    const payload = text.slice(span.start, span.end);
    return { ok: true, publication: { channel: 'c', payload, bytes: payload.length } };
  });
}

function read(body: string, format: BatchFormat = 'json'): readonly unknown[] {
  return items(Buffer.from(body), format).map((item) =>
    item.ok ? item.publication.payload : item.error.code,
  );
}

function refusalOf(body: Uint8Array, format: BatchFormat): string {
  try {
    items(body, format);
  } catch (error) {
    if (error instanceof HttpError) return error.details.code;
    throw error;
  }
  return 'accepted';
}
