import { expect, it } from 'vitest';
import { readVariableType } from './variable-type.ts';

it('reads types without fields', () => {
  expect(readVariableType('string')).toEqual({ type: 'string', fields: [] });
  expect(readVariableType('map(list(string))')).toEqual({ type: 'map(list(string))', fields: [] });
});

it('reads the fields of objects, with their defaults, at any depth', () => {
  const text = `object({
    kind = optional(string, "http://a, (b)") // a URL
    certificate = object({
      domains = optional(list(string), []) # none
      names   = optional(map(string), { app = "x" })
    })
    count    = optional(number)
    throttle = optional(object({ requests = optional(number, 600) }), {})
  })`;
  expect(readVariableType(text)).toEqual({
    type: 'object',
    fields: [
      { path: 'kind', type: 'string', default: '"http://a, (b)"' },
      { path: 'certificate', type: 'object', default: undefined },
      { path: 'certificate.domains', type: 'list(string)', default: '[]' },
      { path: 'certificate.names', type: 'map(string)', default: '{ app = "x" }' },
      { path: 'count', type: 'number', default: 'null' },
      { path: 'throttle', type: 'object', default: '{}' },
      { path: 'throttle.requests', type: 'number', default: '600' },
    ],
  });
});

it('says whose fields those of a collection are', () => {
  const paths = (text: string) => readVariableType(text).fields.map(({ path }) => path);
  expect(paths('map(object({ port = number }))')).toEqual(['.*.port']);
  expect(paths('object({ a = optional(list(object({ b = string })), []) })')).toEqual([
    'a',
    'a[].b',
  ]);
});

it('refuses a text that is no type of a variable', () => {
  expect(() => readVariableType('object({ a string })')).toThrow('= is missing');
  expect(() => readVariableType('list(string')).toThrow();
  expect(() => readVariableType('string)')).toThrow('not a type');
});
