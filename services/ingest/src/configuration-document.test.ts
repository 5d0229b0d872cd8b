import { readFileSync } from 'node:fs';
import { ConfigError, type Environment, readConfig, readServiceSettings } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { variablesRead } from '../../../test/support/documents/variables-read.ts';
import { readIngestConfig } from './config.ts';

const DOCUMENT = new URL('../../../docs/configuration.md', import.meta.url);
const DEFAULTS = {
  defaultPort: 8_081,
  defaultAdminPort: 9_081,
  redisUrlFault: () => undefined,
};
const ROWS = readFileSync(DOCUMENT, 'utf8')
  .split('\n## Ingest\n')[1]!
  .split('\n## ')[0]!
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => {
    const [variable = '', stated = '', allowed = '', meaning = ''] = line.slice(1, -1).split('|');
    return { variable: variable.trim().slice(1, -1), stated: stated.trim(), allowed, meaning };
  });

function read(environment: Environment) {
  return readConfig(environment, readIngestConfig);
}

describe('docs/configuration.md, Ingest', () => {
  it('lists every variable that ingest reads beside the common ones, and no other', () => {
    const common = variablesRead((env) =>
      readConfig(env, (reader) => readServiceSettings(reader, DEFAULTS)),
    );
    const own = variablesRead(read).filter((name) => !common.includes(name));
    expect(ROWS.map(({ variable }) => variable).toSorted()).toEqual(own.toSorted());
  });

  it.each(ROWS.filter(({ stated }) => stated.startsWith('`')))(
    'states the default of $variable: $stated',
    ({ variable, stated }) => {
      expect(read({ [variable]: stated.slice(1, -1) })).toEqual(read({}));
    },
  );

  it.each(ROWS.filter(({ allowed }) => allowed.trim().startsWith('0 to')))(
    'says what 0 means for $variable',
    ({ meaning }) => {
      expect(meaning).toMatch(/\b0: /);
    },
  );

  it.each(ROWS.filter(({ allowed }) => /\d+ to \d+/.test(allowed)))(
    'states the range of $variable: $allowed',
    ({ variable, allowed }) => {
      expect(mistakesOf({ [variable]: 'x' })).toContain(
        `${variable}: "x" must be an integer from ${allowed.trim()}`,
      );
    },
  );
});

function mistakesOf(environment: Environment): readonly string[] {
  try {
    read(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}
