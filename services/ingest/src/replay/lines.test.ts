import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Line, linesOf } from './lines.ts';

describe('linesOf', () => {
  it('splits at line feeds, wherever the chunks end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: fc.constantFrom('a', '\n', '€'), maxLength: 9 })),
        async (chunks) => {
          const text = chunks.join('');
          const expected = text.split('\n');
          if (expected.at(-1) === '') expected.pop();
          const lines = await read(chunks.map((chunk) => Buffer.from(chunk)));
          expect(lines.map(({ bytes }) => bytes?.toString())).toEqual(expected);
          expect(lines.map(({ number }) => number)).toEqual(expected.map((_, index) => index + 1));
          expect(lines.at(-1)?.position ?? 0).toBe(Buffer.byteLength(text));
        },
      ),
    );
  });

  it('keeps none of a line that is too long, and goes on after it', async () => {
    const lines = await read(
      [Buffer.from('ab\nabc'), Buffer.from('def'), Buffer.from('g\nxyz')],
      3,
    );
    expect(lines.map(({ bytes }) => bytes?.toString())).toEqual(['ab', undefined, 'xyz']);
    expect(lines.map(({ position }) => position)).toEqual([3, 11, 14]);
  });
});

async function read(chunks: readonly Buffer[], maxLineBytes = 1_000): Promise<readonly Line[]> {
  async function* stream(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  const lines: Line[] = [];
  for await (const line of linesOf(stream(), maxLineBytes)) lines.push(line);
  return lines;
}
