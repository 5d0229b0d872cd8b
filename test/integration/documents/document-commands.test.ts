import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findFreePort, findProgram } from '@tradewind/dev';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  commandsOf,
  DOCUMENTS,
  readCommandLine,
} from '../../support/documents/document-commands.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** How long the commands of one block may take, in ms. */
const RUN_DEADLINE_MS = 60_000;

/** Documents whose shell blocks another test runs, each unchanged. */
const RUN_WHOLE: Readonly<Record<string, string>> = {
  'docs/publishing.md': 'test/integration/documents/publish-examples.test.ts',
  'docs/identity.md': 'test/integration/documents/token-examples.test.ts',
};

/** Programs of this repository, and the test that reads with each what the documents call it with. */
const READ_BY: Readonly<Record<string, string>> = {
  'npm start': 'infra/dev/src/demo/settings.test.ts',
  'npm run bench': 'bench/compare/arguments.test.ts',
  'npm run capacity': 'bench/capacity/settings.test.ts',
  'npm run roll': 'infra/roll/src/settings.test.ts',
  'npm run sizing': 'bench/sizing/tables.test.ts',
  'npm run smoke': 'infra/smoke/src/settings.test.ts',
  'npx tradewind': 'packages/cli/src/settings.test.ts',
};

const HERE = 'test/integration/documents/document-commands.test.ts';

/** Runs the loop of docs/migration.md. */
const USERS_OF_A_CLUSTER = 'test/integration/redis/migrate.test.ts';

/** Commands that a test runs, by how they begin, and the test. */
const RUN_BY: Readonly<Record<string, string>> = {
  'redis-cli -u "$REDIS_URL" PUBLISH': 'test/integration/documents/readme-examples.test.ts',
  'curl -X POST http://127.0.0.1:8081/': 'test/integration/documents/readme-examples.test.ts',
  '(cd packages/client && npm run build)': 'test/integration/documents/readme-examples.test.ts',
  'npm install ./tradewind-client-': 'test/integration/sdk/client-readme.test.ts',
  'set -f': USERS_OF_A_CLUSTER,
  'role()': USERS_OF_A_CLUSTER,
  'for node in': USERS_OF_A_CLUSTER,
  'redis-cli -u "redis://$node" ACL': USERS_OF_A_CLUSTER,
  done: USERS_OF_A_CLUSTER,
  'set +f': USERS_OF_A_CLUSTER,
  'openssl req -x509': HERE,
  'EDGE_TLS_CERT_FILE=tls.crt': HERE,
};

/** Commands that no test runs as they stand, by how they begin, and why. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'export REDIS_URL=': 'npm start prints it, with the port that it took',
  'gcloud ': 'needs a project of Google',
  'openssl rand -hex': 'makes a secret for gcloud',
  'HASH=$(tr': 'makes a secret for gcloud',
  'echo "{\\"tokens': 'makes a secret for gcloud',
  '(umask 077; openssl rand': 'makes a secret for gcloud',
  'npm test': 'is what runs this',
  'python3 -m http.server': 'readme-examples.test.ts serves the same two files',
  'npm run release': 'npm run test:release makes one',
  'sha256sum --check': 'npm run test:release checks the same file',
  'mkdir -p /opt/tradewind/': 'npm run test:release installs a release',
  'tar -xzf tradewind-': 'npm run test:release installs a release',
  '/opt/tradewind/edge-<version>/install.sh': 'npm run test:release installs a release',
  'docker compose': 'wants images of a registry',
  'cp /opt/tradewind/edge/examples/': 'infra/release/src/examples.test.ts tries the example',
  $EDITOR: 'is for a person',
  'systemctl enable': 'wants a systemd that runs',
  'npm install ./tradewind-publisher-': 'published-packages.test.ts installs the package',
  'git worktree add': 'installs a second checkout',
};

/** Whether a command begins with one of these. */
function isListed(command: string, list: Readonly<Record<string, string>>): boolean {
  return Object.keys(list).some((start) => command.startsWith(start));
}

function isKnown(command: string): boolean {
  const called = readCommandLine(command).words.join(' ');
  return isListed(command, RUN_BY) || isListed(command, NOT_RUN) || isListed(called, READ_BY);
}

describe('the commands of the documents', () => {
  it.each(DOCUMENTS)('are run, read by their program, or listed with a reason: %s', (document) => {
    const runBy = RUN_WHOLE[document];
    if (runBy !== undefined) expect(readFileSync(`${ROOT}${runBy}`, 'utf8')).toContain(document);
    else expect(commandsOf(document).filter((command) => !isKnown(command))).toEqual([]);
  });

  it.each(Object.entries(READ_BY))('are read for %s by a test', (program, test) => {
    const call = `documentedCommands('${program}')`;
    expect(readFileSync(`${ROOT}${test}`, 'utf8')).toContain(call);
  });

  it('are all needed in the lists', () => {
    const all = DOCUMENTS.filter((name) => RUN_WHOLE[name] === undefined).flatMap(commandsOf);
    const starts = [...Object.keys(RUN_BY), ...Object.keys(NOT_RUN)];
    expect(starts.filter((start) => !all.some((command) => command.startsWith(start)))).toEqual([]);
  });

  it('are noticed when nothing knows them', () => {
    expect(isKnown('npm run deploy')).toBe(false);
    expect(isKnown('EDGES=3 npm run capacity -- high')).toBe(true);
  });
});

describe('docs/configuration.md', () => {
  it('has commands that start an edge with TLS and subscribe there', {
    timeout: 2 * RUN_DEADLINE_MS,
  }, async ({ skip }) => {
    if ((await findProgram(['openssl'])) === undefined) return skip('there is no openssl here');
    const folder = await mkdtemp(join(tmpdir(), 'tradewind-documents-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const text = readFileSync(`${ROOT}docs/configuration.md`, 'utf8');
    const block = /```sh\n(openssl req [\s\S]*?)```/.exec(text)?.[1] ?? '';
    const [port, adminPort] = [await findFreePort(), await findFreePort()];
    const script = block
      .replaceAll(/\btls\.(key|crt)\b/g, `${folder}/tls.$1`)
      .replace('wss://localhost:8080', `wss://localhost:${port}`)
      .replace('sub BTC.trade', 'sub BTC.trade --count 1');
    await using tier = await startTier({ edges: 0 });
    const ran = promisify(execFile)('sh', ['-ec', `trap 'kill $!' EXIT\n${script}`], {
      cwd: ROOT,
      env: {
        ...process.env,
        ...{ REDIS_URL: tier.redis.url, PORT: String(port), ADMIN_PORT: String(adminPort) },
      },
      timeout: RUN_DEADLINE_MS,
    });
    const subscribed = eventually(async () => (await tier.subscribers('BTC.trade')) === 1, {
      deadlineMs: RUN_DEADLINE_MS,
    });
    await Promise.race([ran, subscribed]);
    await tier.backend.publish('BTC.trade', '{"price":"64123.5"}');
    expect((await ran).stdout).toContain('64123.5');
  });
});
