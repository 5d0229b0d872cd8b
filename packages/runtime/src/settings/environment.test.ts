import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, type EnvironmentReader, readConfig } from './environment.ts';

describe('readConfig', () => {
  it('gives the defaults where nothing, or an empty text, is set', () => {
    const config = readConfig({ SIZE: '', MODE: undefined }, (environment) => ({
      size: environment.integer('SIZE', { default: 7, min: 1, max: 9 }),
      mode: environment.choice('MODE', { default: 'slow', choices: ['slow', 'fast'] }),
      isFast: environment.boolean('IS_FAST', { default: true }),
      name: environment.string('NAME', { default: 'edge' }),
      node: environment.optionalString('NODE'),
      patterns: environment.list('PATTERNS', { default: ['*'] }),
      file: environment.fileContents('FILE'),
      isSet: environment.isSet('SIZE'),
    }));
    expect(config).toEqual({
      size: 7,
      mode: 'slow',
      isFast: true,
      name: 'edge',
      node: undefined,
      patterns: ['*'],
      file: undefined,
      isSet: false,
    });
  });

  it('tells every mistake at once, each with the variable, its value and what is allowed', () => {
    const mistakes = mistakesOf(
      { SIZE: '10', MODE: 'quick', NODE: 'a b', FILE: '/no/such' },
      (e) => {
        e.integer('SIZE', { default: 7, min: 1, max: 9 });
        e.choice('MODE', { default: 'slow', choices: ['slow', 'fast'] });
        e.string('NODE', { default: 'n', allowed: { pattern: /^\w+$/, description: 'one word' } });
        e.fileContents('FILE');
        e.reject('MODE', 'does not go with SIZE');
      },
    );
    expect(mistakes).toEqual([
      'SIZE: "10" must be an integer from 1 to 9',
      'MODE: "quick" must be one of slow, fast',
      'NODE: "a b" must be one word',
      'FILE: the file "/no/such" cannot be read (ENOENT)',
      'MODE: does not go with SIZE',
    ]);
  });

  it.each(['1e1', ' 5', '5 ', '+5', '05', '0x5', '5.0', '٥', 'NaN', '-', '--1'])(
    'does not take %j for an integer',
    (value) => {
      expect(
        mistakesOf({ SIZE: value }, (e) => e.integer('SIZE', { default: 1, min: -99, max: 99 })),
      ).toHaveLength(1);
    },
  );

  it.each([
    ['0', 0],
    ['-3', -3],
    ['99', 99],
  ])('takes %j for an integer', (value, expected) => {
    const size = readConfig({ SIZE: value }, (e) =>
      e.integer('SIZE', { default: 1, min: -99, max: 99 }),
    );
    expect(size).toBe(expected);
  });

  it('takes true and false for a boolean, and nothing else', () => {
    const read = (e: EnvironmentReader) => e.boolean('PROBE', { default: false });
    expect(readConfig({ PROBE: 'true' }, read)).toBe(true);
    expect(readConfig({ PROBE: 'false' }, read)).toBe(false);
    expect(mistakesOf({ PROBE: '1' }, read)).toEqual(['PROBE: "1" must be one of false, true']);
  });

  it('splits lists and checks every entry', () => {
    const allowed = { pattern: /^[a-z]+$/, description: 'lower-case letters' };
    const read = (environment: EnvironmentReader): readonly string[] =>
      environment.list('NAMES', { default: [], allowed });
    expect(readConfig({ NAMES: ' a, b,,c ' }, read)).toEqual(['a', 'b', 'c']);
    expect(mistakesOf({ NAMES: 'a,B,c,4' }, read)).toEqual([
      'NAMES: "B" must be lower-case letters',
      'NAMES: "4" must be lower-case letters',
    ]);
  });

  it('reads secrets without ever repeating them', () => {
    const config = readConfig({ TOKENS: 'one, two', TOKEN: 'three' }, (environment) => ({
      tokens: environment.secretList('TOKENS'),
      token: environment.secret('TOKEN'),
    }));
    expect(config).toEqual({ tokens: ['one', 'two'], token: 'three' });
  });
});

describe('fileContents', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'environment-'));
    writeFileSync(join(folder, 'full'), 'hunter2\n');
    writeFileSync(join(folder, 'empty'), '\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('reads what the file holds, byte for byte', () => {
    const path = join(folder, 'full');
    expect(readConfig({ FILE: path }, (e) => e.fileContents('FILE'))).toBe('hunter2\n');
  });

  it('does not take an empty file for a secret', () => {
    const path = join(folder, 'empty');
    expect(mistakesOf({ FILE: path }, (e) => e.fileContents('FILE'))).toEqual([
      `FILE: the file ${JSON.stringify(path)} is empty`,
    ]);
  });
});

function mistakesOf(
  environment: Record<string, string>,
  read: (environment: EnvironmentReader) => unknown,
): readonly string[] {
  try {
    readConfig(environment, read);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}
