import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { readHeader } from './publication-header.ts';

const read = (text: string, known?: string) => readHeader(Buffer.from(text), known);

describe('readHeader', () => {
  it('reads what the publish script writes', () => {
    const text = '@1:k3x9:131:1795416898073;{"price":"1"}';
    expect(read(text)).toEqual({
      kind: 'sequenced',
      epoch: 'k3x9',
      offset: 131,
      publishedAt: 1795416898073,
      payloadAt: text.indexOf('{'),
    });
  });

  it('takes the least and the greatest of everything', () => {
    expect(read('@1:a:1:0;')).toMatchObject({
      epoch: 'a',
      offset: 1,
      publishedAt: 0,
      payloadAt: 9,
    });
    expect(read('@1:Abcdefgh12345678:9007199254740991:9007199254740991;x')).toMatchObject({
      epoch: 'Abcdefgh12345678',
      offset: Number.MAX_SAFE_INTEGER,
      publishedAt: Number.MAX_SAFE_INTEGER,
    });
  });

  it.each(['', '{"price":"1"}', '@', '@home', '@:', '@1', '@12', '@1;', '@1a:b', '1:a:1:1;'])(
    'takes %j for plain',
    (text) => expect(read(text)).toEqual({ kind: 'plain' }),
  );

  it.each(['@2:a:1:1;x', '@01:a:1:1;x', '@0:', '@11:a:1:1;', '@99999999999999999999:x'])(
    'does not guess at %j',
    (text) => expect(read(text)).toEqual({ kind: 'unknown_header' }),
  );

  it.each([
    '@1:',
    '@1:a',
    '@1::1:1;x',
    '@1:abcdefgh123456789:1:1;x',
    '@1:ä:1:1;x',
    '@1:a-b:1:1;x',
    '@1:a:0:1;x',
    '@1:a:01:1;x',
    '@1:a::1;x',
    '@1:a:-1:1;x',
    '@1:a:1e3:1;x',
    '@1:a:9007199254740992:1;x',
    '@1:a:9007199254740993:1;x',
    '@1:a:9999999999999999:1;x',
    '@1:a:10000000000000000:1;x',
    '@1:a:1;x',
    '@1:a:1:;x',
    '@1:a:1:01;x',
    '@1:a:1:9007199254740992;x',
    '@1:a:1:1',
    '@1:a:1:1:x',
    '@1:a:1:1,x',
  ])('refuses %j', (text) => expect(read(text)).toEqual({ kind: 'bad_header' }));

  it('gives back the known epoch only when it is spelt the same', () => {
    for (const known of ['k3x9', 'k3x', 'k3x90', 'K3x9', ''])
      expect(read('@1:k3x9:1:1;', known)).toMatchObject({ epoch: 'k3x9', payloadAt: 12 });
  });

  it('reads a view into a larger chunk', () => {
    const chunk = Buffer.from('junk@1:a:7:8;xyz');
    expect(readHeader(chunk.subarray(4, 13))).toMatchObject({ offset: 7, payloadAt: 9 });
    expect(readHeader(chunk.subarray(4, 12))).toEqual({ kind: 'bad_header' });
  });

  it('reads every header back, before any payload', () => {
    const epochs = fc.stringMatching(/^[A-Za-z0-9]{1,16}$/);
    fc.assert(
      fc.property(
        epochs,
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.uint8Array(),
        fc.option(epochs, { nil: undefined }),
        (epoch, offset, publishedAt, payload, known) => {
          const header = Buffer.from(`@1:${epoch}:${offset}:${publishedAt};`);
          const bytes = Buffer.concat([header, payload]);
          const payloadAt = header.length;
          expect(readHeader(bytes, known)).toEqual({
            kind: 'sequenced',
            epoch,
            offset,
            publishedAt,
            payloadAt,
          });
        },
      ),
    );
  });

  it('agrees with the contract written as an expression, on anything', () => {
    const contract = /^@1:([A-Za-z0-9]{1,16}):([1-9]\d{0,15}):(0|[1-9]\d{0,15});/;
    const pieces = fc.constantFrom('@', '1', '2', ':', ';', '0', 'a', '9007199254740991', ' ');
    fc.assert(
      fc.property(
        fc.array(pieces).map((parts) => `@1:${parts.join('')}`),
        (text) => {
          const match = contract.exec(text);
          const fits =
            match !== null &&
            [match[2], match[3]].every((digits) => Number.isSafeInteger(+(digits ?? 0)));
          expect(read(text).kind).toBe(fits ? 'sequenced' : 'bad_header');
        },
      ),
      cases(1_000),
    );
  });
});
