import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bringPythonWith, PYJWT, WORKSPACE_NODE } from '@tradewind/dev';
import { afterAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { startTier } from '../../support/tier.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const DOCUMENT = readFileSync(`${ROOT}/docs/identity.md`, 'utf8');
const KEY = Buffer.from('a key for the examples of tokens, of more than 32 bytes');

/** Includes an installation by apt. */
const TEST_DEADLINE_MS = 300_000;

const folder = mkdtempSync(join(tmpdir(), 'tradewind-tokens-'));
const keyFile = join(folder, 'key');
writeFileSync(keyFile, KEY);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program that prints a token. */
async function print(command: string, program: string, subject: string): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [program, keyFile, subject], {
    cwd: folder,
  });
  return stdout.trim();
}

/** What an edge lets the bearer of a token do. */
async function tryOut(token: string) {
  const env = { EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: keyFile };
  await using tier = await startTier({ edges: 1, env });
  await using client = await TestClient.connect(tier.edges[0]!.wsUrl);
  client.request({ type: 'auth', token });
  await client.waitFor(() => client.controlsOf('authenticated').length === 1);
  const { channels, rejected } = await client.subscribe(['BTC.trade', 'ETH.trade']);
  const { subject, expiresInMs } = client.controlsOf('authenticated')[0]!;
  return { subject, expiresInMs, channels: channels.map(({ channel }) => channel), rejected };
}

const EXPECTED = {
  subject: 'u1',
  channels: ['BTC.trade'],
  rejected: [{ channel: 'ETH.trade', code: 'channel_not_allowed' }],
};

describe('docs/identity.md', () => {
  it('names the programs that are there', () => {
    const named = [...DOCUMENT.matchAll(/`(docs\/(?:identity|clients)\/[^`]+)`/g)];
    expect(named).toHaveLength(7);
    for (const [, path] of named) expect(readFileSync(`${ROOT}/${path}`, 'utf8')).not.toBe('');
  });

  it('has a program for Node whose token an edge accepts', async () => {
    // The program finds its library where it is installed, and here that is beside the edge.
    const program = join(folder, 'make-token.mjs');
    writeFileSync(program, readFileSync(`${ROOT}/docs/identity/make-token.mjs`));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(`${ROOT}/services/edge/node_modules/jose`, join(folder, 'node_modules/jose'));
    const result = await tryOut(await print(WORKSPACE_NODE, program, 'u1'));
    expect(result).toMatchObject(EXPECTED);
    expect(result.expiresInMs).toBeGreaterThan(500_000);
  });

  it(
    'has a program for Python whose token an edge accepts',
    async ({ skip }) => {
      const python = await bringPythonWith(PYJWT, console.log);
      if (python === undefined)
        return skip('there is no python3 with PyJWT here, and apt cannot install it');
      const program = `${ROOT}/docs/identity/make_token.py`;
      expect(await tryOut(await print(python, program, 'u1'))).toMatchObject(EXPECTED);
    },
    TEST_DEADLINE_MS,
  );
});
