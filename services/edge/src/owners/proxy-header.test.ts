import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { MAX_PROXY_HEADER_BYTES, readProxyHeader } from './proxy-header.ts';

const HEADER = 'PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n';
const read = (text: string) => readProxyHeader(Buffer.from(text, 'latin1'));

describe('readProxyHeader', () => {
  it.each([
    [HEADER, '203.0.113.7'],
    ['PROXY TCP4 203.0.113.7 10.0.0.1 0 65535\r\n', '203.0.113.7'],
    ['PROXY TCP6 2001:DB8::1 fd00::1 51234 443\r\n', '2001:db8::1'],
    ['PROXY TCP6 ::ffff:203.0.113.7 ::ffff:10.0.0.1 51234 443\r\n', '203.0.113.7'],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n', undefined],
  ])('finds the address in %j', (header, address) => {
    const length = header.length;
    expect(read(header)).toEqual({ kind: 'complete', address, length });
    expect(read(`${header}GET /ws HTTP/1.1\r\n`)).toEqual({ kind: 'complete', address, length });
  });

  it('waits for the end, wherever the header is split', () => {
    for (let length = 0; length < HEADER.length; length += 1) {
      expect(read(HEADER.slice(0, length)).kind).toBe('incomplete');
    }
  });

  it.each([
    ['HTTP', 'GET /ws HTTP/1.1\r\n'],
    ['the beginning of HTTP', 'G'],
    ['a method that begins alike', 'PROPFIND / HTTP/1.1\r\n'],
    ['TLS', '\x16\x03\x01\x02'],
    ['version 2', '\r\n\r\n\0\r\nQUIT\n!'],
    ['lower case', 'proxy TCP4 203.0.113.7 10.0.0.1 1 2\r\n'],
  ])('finds none in %s', (_what, bytes) => {
    expect(read(bytes)).toEqual({ kind: 'absent' });
  });

  it.each([
    ['another family', 'PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n'],
    ['IPv6 as TCP4', 'PROXY TCP4 2001:db8::1 fd00::1 1 2\r\n'],
    ['IPv4 as TCP6', 'PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n'],
    ['a name', 'PROXY TCP4 localhost 10.0.0.1 1 2\r\n'],
    ['two spaces', 'PROXY TCP4  203.0.113.7 10.0.0.1 1 2\r\n'],
    ['a field too few', 'PROXY TCP4 203.0.113.7 10.0.0.1 1\r\n'],
    ['a field too many', 'PROXY TCP4 203.0.113.7 10.0.0.1 1 2 3\r\n'],
    ['a port that is none', 'PROXY TCP4 203.0.113.7 10.0.0.1 1 65536\r\n'],
    ['a port with a zero before it', 'PROXY TCP4 203.0.113.7 10.0.0.1 01 2\r\n'],
    ['no family', 'PROXY \r\n'],
    ['another end of line', 'PROXY TCP4 203.0.113.7 10.0.0.1 1 2\nGET / HTTP/1.1\r\n'],
    ['more than 107 bytes', `PROXY UNKNOWN ${'x'.repeat(MAX_PROXY_HEADER_BYTES)}`],
    ['an end behind 107 bytes', `PROXY UNKNOWN ${'x'.repeat(MAX_PROXY_HEADER_BYTES - 15)}\r\n`],
  ])('refuses %s', (_what, header) => {
    expect(read(header)).toEqual({ kind: 'malformed' });
  });

  it('takes 107 bytes', () => {
    const header = `PROXY UNKNOWN ${'x'.repeat(MAX_PROXY_HEADER_BYTES - 16)}\r\n`;
    expect(header).toHaveLength(MAX_PROXY_HEADER_BYTES);
    expect(read(header).kind).toBe('complete');
  });

  it('says the same of the whole as of the part by which it decided, whatever the bytes', () => {
    const junk = fc.uint8Array({ maxLength: 150 }).map((bytes) => Buffer.from(bytes));
    const header = fc.constantFrom('PROXY ', HEADER, 'PROXY UNKNOWN', 'PROXY TCP4 203.0.113.7 ');
    const begun = fc
      .tuple(header, junk)
      .map(([text, rest]) => Buffer.concat([Buffer.from(text), rest]));
    fc.assert(
      fc.property(fc.oneof(junk, begun), (bytes) => {
        const whole = readProxyHeader(bytes);
        for (let length = 0; length <= bytes.length; length += 1) {
          const part = readProxyHeader(bytes.subarray(0, length));
          if (part.kind !== 'incomplete') expect(part).toEqual(whole);
        }
      }),
      cases(500),
    );
  });
});
