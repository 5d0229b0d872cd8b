import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { afterAll, describe, expect, it } from 'vitest';
import { RELEASED_SERVICES } from './services.ts';

const folder = mkdtempSync(join(tmpdir(), 'tradewind-examples-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What each file that an example names must hold. */
const FILES: Readonly<Record<string, string>> = {
  'jwt-key': 'k'.repeat(32),
  'redis-password': 'a password',
  'console-token': 'a-token-of-an-operator-with-enough',
  'admin-token': 'a-token-of-the-nodes',
  'ingest-tokens.json': JSON.stringify({
    tokens: [{ name: 'a', hash: `sha256:${'0'.repeat(64)}`, channels: ['*'], rights: ['publish'] }],
  }),
};

function settingsOf(service: string): Record<string, string> {
  const text = readFileSync(`${WORKSPACE_ROOT}infra/release/examples/${service}.env`, 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const [, name = '', value = ''] = /^([A-Z_0-9]+)=(\S+)$/.exec(line) ?? [];
      const file = value.replace('/etc/tradewind/', '');
      const contents = FILES[file];
      if (contents === undefined) return [name, value];
      writeFileSync(join(folder, file), contents);
      return [name, join(folder, file)];
    }),
  );
}

describe.each(RELEASED_SERVICES)('the example settings of $name', ({ name }) => {
  it('are accepted as they stand', () => {
    const settings = settingsOf(name);
    expect(Object.keys(settings).length).toBeGreaterThan(3);
    const check = (changes: Record<string, string>) =>
      spawnSync(WORKSPACE_NODE, [`services/${name}/src/main.ts`, '--check'], {
        cwd: WORKSPACE_ROOT,
        env: { PATH: process.env.PATH, ...settings, ...changes },
        encoding: 'utf8',
      });
    const { status, stderr } = check({});
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(check({ REDIS_URL: 'localhost' }).status, 'control').toBe(78);
  });
});
