import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { describeContinuation } from './continuation.ts';

const STOPPED = { command: ['node', 'replay.js', 'f'], nextLine: 12, publishedTo: undefined };

describe('describeContinuation', () => {
  it('is the command alone where nothing is in doubt', () => {
    for (const memory of [{ of: 'redis', seconds: 0 }, { of: 'service' }] as const) {
      expect(describeContinuation({ ...STOPPED, memory })).toEqual([
        'to go on at line 12, in the same folder and environment: node replay.js f',
      ]);
    }
  });

  it.each([
    [
      { of: 'redis', seconds: 600 },
      'it is not published again while Redis remembers it, for 600 s (INGEST_IDEMPOTENCY_SECONDS)',
    ],
    [{ of: 'redis', seconds: 0 }, 'it is published again, since INGEST_IDEMPOTENCY_SECONDS is 0'],
    [
      { of: 'service' },
      'it is not published again while the service remembers it, for its INGEST_IDEMPOTENCY_SECONDS',
    ],
  ] as const)('says what becomes of lines in doubt: %j', (memory, consequence) => {
    const [, one] = describeContinuation({ ...STOPPED, publishedTo: 12, memory });
    expect(one).toBe(`line 12 may have been published already; ${consequence}`);
    const [, many] = describeContinuation({ ...STOPPED, publishedTo: 90, memory });
    expect(many).toBe(`of lines 12 to 90 some may have been published already; ${consequence}`);
  });

  it('writes the command as a shell reads it', () => {
    const word = fc.string({
      unit: fc.constantFrom('a', ' ', "'", '"', '\\', '$', '-', '\n', 'é'),
    });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (words) => {
        const command = ['printf', '%s\\0', ...words];
        const [line = ''] = describeContinuation({
          ...STOPPED,
          command,
          memory: { of: 'service' },
        });
        const script = line.slice(line.indexOf(': ') + 2);
        const read = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
        expect(read.split('\0').slice(0, -1)).toEqual(words);
      }),
      cases(50),
    );
  });
});
