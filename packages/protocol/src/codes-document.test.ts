import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CLOSE_CODES, type CloseAction } from './close-codes.ts';
import { ERROR_CODES } from './error-codes.ts';

const DOCUMENT = readFileSync(new URL('../../../docs/codes.md', import.meta.url), 'utf8');

const WHAT_TO_DO: Record<CloseAction, string> = {
  resume: 'Reconnect after a short random delay and resume.',
  'back-off': 'Reconnect, waiting longer each time.',
  renew: 'Get a new token, reconnect and resume.',
  stop: 'Do not reconnect.',
};

/** The rows of the table under a heading, without its head: one list of cells each. */
function tableUnder(heading: string): string[][] {
  const section = DOCUMENT.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
    .map((line) => line.slice(2, -2).split(' | '));
}

describe('docs/codes.md', () => {
  it('lists exactly the error codes of the protocol', () => {
    expect(tableUnder('Error codes')).toEqual(
      Object.entries(ERROR_CODES).map(([code, { status, retryable, meaning }]) => [
        `\`${code}\``,
        String(status),
        retryable ? 'yes' : 'no',
        meaning,
      ]),
    );
  });

  it('lists exactly the close codes of the protocol', () => {
    expect(tableUnder('Close codes')).toEqual(
      Object.entries(CLOSE_CODES).map(([name, { code, action, meaning }]) => [
        String(code),
        `\`${name}\``,
        WHAT_TO_DO[action],
        meaning,
      ]),
    );
  });
});
