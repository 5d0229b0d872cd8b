import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { elementSpans, memberSpans, type Span, valueSpan } from './json-spans.ts';

describe('memberSpans', () => {
  it.each([
    ['{"data":1.10}', '1.10'],
    ['{"data":9223372036854775808}', '9223372036854775808'],
    ['{"data": 1E+2 ,"x":0}', '1E+2'],
    ['{"data":"a\\"}\\\\"}', '"a\\"}\\\\"'],
    ['{"data":"\\ud83d\\ude00 😀"}', '"\\ud83d\\ude00 😀"'],
    ['{"data":{ "b" :\t[ ] , "a":{"data":2}} }', '{ "b" :\t[ ] , "a":{"data":2}}'],
    ['{"data":[ "]" , [ ] ]}', '[ "]" , [ ] ]'],
    ['\r\n\t {\n "x" : {"data":0} ,\n "data" :\n true \n}\n', 'true'],
    ['{"d\\u0061ta":null}', 'null'],
    ['{"data":1,"data":2}', '2'],
    ['{"data":1,"d\\u0061ta":2}', '2'],
  ])('cuts data out of %j as it was written', (text, expected) => {
    const span = memberSpans(text, valueSpan(text)).get('data');
    expect(span && cut(text, span)).toBe(expected);
  });

  it('finds nothing in an empty object', () => {
    expect(memberSpans(' { } ', valueSpan(' { } ')).size).toBe(0);
  });

  it('keeps a member called __proto__ apart', () => {
    const text = '{"__proto__":1}';
    expect([...memberSpans(text, valueSpan(text)).keys()]).toEqual(['__proto__']);
  });
});

describe('spans', () => {
  it('cut out parts that JSON.parse reads as it reads the whole', () => {
    fc.assert(
      fc.property(looselyWrittenJson(), (text) => {
        expectSameParts(text, valueSpan(text), JSON.parse(text) as unknown);
      }),
      cases(500),
    );
  });

  it('end, whatever text they are given', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ a1\n') }), (text) => {
        const span = valueSpan(text);
        expect(elementSpans(text, span).length).toBeLessThanOrEqual(text.length + 1);
        try {
          memberSpans(text, span);
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError);
        }
      }),
      cases(2_000),
    );
  });
});

function expectSameParts(text: string, span: Span, value: unknown): void {
  expect(JSON.parse(cut(text, span))).toEqual(value);
  expect(cut(text, span)).toBe(cut(text, span).trim());
  if (Array.isArray(value)) {
    const spans = elementSpans(text, span);
    expect(spans).toHaveLength(value.length);
    spans.forEach((element, index) => {
      expectSameParts(text, element, value[index]);
    });
  } else if (typeof value === 'object' && value !== null) {
    const spans = memberSpans(text, span);
    expect(new Set(spans.keys())).toEqual(new Set(Object.keys(value)));
    for (const [key, member] of spans) {
      expectSameParts(text, member, (value as Record<string, unknown>)[key]);
    }
  }
}

/** JSON texts with space in all places, escaped letters, and keys that are there twice. */
function looselyWrittenJson(): fc.Arbitrary<string> {
  const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 2 });
  const text = fc.tuple(fc.string({ unit: 'binary', maxLength: 8 }), fc.boolean()).map(writeString);
  const number = fc.constantFrom('0', '-0', '1.10', '1e5', '-3.5E-2', '9223372036854775808');
  const { value } = fc.letrec<{ value: string }>((tie) => {
    const spaced = fc.tuple(space, tie('value'), space).map((parts) => parts.join(''));
    const key = fc.oneof(text, fc.constantFrom('"a"', '"\\u0061"', '"data"', '"__proto__"'));
    const member = fc
      .tuple(space, key, space, spaced)
      .map(([before, name, after, content]) => `${before}${name}${after}:${content}`);
    return {
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        number,
        text,
        fc.constantFrom('true', 'false', 'null'),
        fc.array(spaced, { maxLength: 4 }).map((parts) => `[${parts.join(',')}]`),
        fc.array(member, { maxLength: 4 }).map((parts) => `{${parts.join(',')}}`),
      ),
    };
  });
  return fc.tuple(space, value, space).map((parts) => parts.join(''));
}

function writeString([content, escaped]: readonly [string, boolean]): string {
  const written = JSON.stringify(content);
  if (!escaped) return written;
  return `"${[...content].map((letter) => escapeUnits(letter)).join('')}"`;
}

function escapeUnits(letter: string): string {
  return letter
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

function cut(text: string, { start, end }: Span): string {
  return text.slice(start, end);
}
