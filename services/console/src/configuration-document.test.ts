import { readFileSync } from 'node:fs';
import { type Environment, readConfig, readServiceSettings } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { variablesRead } from '../../../test/support/documents/variables-read.ts';
import { readConsoleConfig } from './config.ts';

const DOCUMENT = new URL('../../../docs/configuration.md', import.meta.url);
const DEFAULTS = {
  defaultPort: 8_090,
  defaultAdminPort: 9_091,
  redisUrlFault: () => undefined,
};
const ROWS = readFileSync(DOCUMENT, 'utf8')
  .split('\n## Console\n')[1]!
  .split('\n## ')[0]!
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => {
    const [variable = '', stated = ''] = line.slice(1, -1).split('|');
    return { variable: variable.trim().slice(1, -1), stated: stated.trim() };
  });

function read(environment: Environment) {
  return readConfig(environment, readConsoleConfig);
}

describe('docs/configuration.md, Console', () => {
  it('lists every variable that the console reads beside the common ones, and no other', () => {
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
});
