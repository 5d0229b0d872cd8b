import { readFileSync } from 'node:fs';
import { ConfigError, type Environment, readConfig, readServiceSettings } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { variablesRead } from '../../../../test/support/documents/variables-read.ts';
import { readEdgeConfig } from '../config/config.ts';

interface Row {
  readonly variable: string;
  readonly common: boolean;
  /** The default as it stands in the table: `code` for a value, words for a description. */
  readonly stated: string;
  readonly allowed: string;
  readonly meaning: string;
}

const DOCUMENT = new URL('../../../../docs/configuration.md', import.meta.url);
const ROWS = rowsOf('Edge');
const CODE = /^`([^`]*)`$/;

describe('docs/configuration.md', () => {
  it('lists every variable that an edge reads, once, and no other', () => {
    const listed = ROWS.map(({ variable }) => variable);
    expect(listed.toSorted()).toEqual(variablesRead(readEdgeConfig).toSorted());
  });

  it('marks as common what every service reads', () => {
    const defaults = { defaultPort: 1, defaultAdminPort: 2, redisUrlFault: () => undefined };
    const common = variablesRead((env) =>
      readConfig(env, (reader) => readServiceSettings(reader, defaults)),
    );
    const marked = ROWS.filter((row) => row.common).map(({ variable }) => variable);
    expect(marked.toSorted()).toEqual(common.toSorted());
  });

  it.each(ROWS.filter(({ stated }) => CODE.test(stated)))(
    'states the default of $variable: $stated',
    ({ variable, stated }) => {
      const value = CODE.exec(stated)?.[1];
      expect(readEdgeConfig({ [variable]: value })).toEqual(readEdgeConfig({}));
    },
  );

  it('describes a default in words only where there is none, or where it is made up', () => {
    const described = ROWS.filter(({ stated }) => !CODE.test(stated));
    const lines = described.map(({ variable, stated }) => `${variable}: ${stated}`);
    expect(lines.toSorted()).toEqual([
      'ADMIN_TOKEN: none',
      'ADMIN_TOKEN_FILE: none',
      'EDGE_AUTH: `none` on loopback, elsewhere none',
      'EDGE_DEMO_URL: none',
      'EDGE_JWKS_URL: none',
      'EDGE_JWT_AUDIENCE: none',
      'EDGE_JWT_HS256_KEY_FILE: none',
      'EDGE_JWT_ISSUER: none',
      'EDGE_JWT_KEYS_FILE: none',
      'EDGE_NODE_ID: `edge-`, host name, process id',
      'EDGE_ORIGINS: none',
      'EDGE_TLS_CERT_FILE: none',
      'EDGE_TLS_KEY_FILE: none',
      'EDGE_TRUSTED_PROXIES: none',
      'EDGE_WORKERS: cores − 1, at least 1',
      'REDIS_CA_FILE: none',
      'REDIS_PASSWORD_FILE: none',
      'REDIS_SENTINEL_PASSWORD_FILE: none',
    ]);
  });

  it.each(ROWS.filter(({ allowed }) => /^\d+ to \d+\b(?! letters)/.test(allowed)))(
    'states the range of $variable: $allowed',
    ({ variable, allowed }) => {
      const [range] = /^\d+ to \d+/.exec(allowed) ?? [];
      expect(mistakesOf({ [variable]: 'x' })).toContain(
        `${variable}: "x" must be an integer from ${range}`,
      );
    },
  );

  it.each(ROWS.filter(({ allowed }) => /^`\w+`, /.test(allowed)))(
    'states the choices of $variable: $allowed',
    ({ variable, allowed }) => {
      const choices = allowed.replaceAll('`', '');
      expect(mistakesOf({ [variable]: 'x' })).toContain(
        `${variable}: "x" must be one of ${choices}`,
      );
    },
  );

  it.each(ROWS.filter(({ allowed }) => allowed.startsWith('0 ')))(
    'says what 0 means for $variable',
    ({ meaning }) => {
      expect(meaning).toMatch(/\b0: /);
    },
  );
});

describe.each(['services.tf', 'variables.tf'])('terraform/%s', (name) => {
  it('sets, and keeps for itself, only variables that an edge reads', () => {
    const text = readFileSync(new URL(`../../../../terraform/${name}`, import.meta.url), 'utf8');
    const named = new Set(text.match(/\b(EDGE|WS)_[A-Z0-9_]+\b/g));
    expect(named.size).toBeGreaterThan(5);
    expect(variablesRead(readEdgeConfig)).toEqual(expect.arrayContaining([...named]));
  });
});

function rowsOf(section: string): Row[] {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [, body = ''] = text.split(`\n## ${section}\n`);
  const [table = ''] = body.split('\n## ');
  return table
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [variable = '', stated = '', allowed = '', meaning = ''] = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      return {
        variable: variable.split('`')[1] ?? '',
        common: variable.endsWith('*common*'),
        stated,
        allowed,
        meaning,
      };
    });
}

function mistakesOf(environment: Environment): readonly string[] {
  try {
    readEdgeConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}
