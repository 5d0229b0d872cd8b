import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findRuntime } from '../../sdk/runtimes.ts';
import { IS_LONG } from '../../support/suite/length.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const DOCUMENTS = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'];

/** Every package that others install: how it is built, and what is in it. */
const PACKAGES: Readonly<
  Record<string, { readonly build: readonly string[]; readonly files: readonly string[] }>
> = {
  client: {
    build: ['packages/client/build.ts'],
    files: [
      ...[
        'binary.d.ts',
        'binary.js',
        'connect.d.ts',
        'errors.d.ts',
        'exact-numbers.d.ts',
        'index.d.ts',
        'index.js',
      ],
      ...['binary.min.d.ts', 'binary.min.js', 'index.min.d.ts', 'index.min.js'],
      'page/session-positions.d.ts',
      ...['react.d.ts', 'react.js', 'store.d.ts', 'store.js', 'types.d.ts'],
    ],
  },
  publisher: {
    build: ['infra/release/src/build-library-main.ts', 'packages/publisher'],
    files: [
      ...[
        'check-publication',
        'cluster-slot',
        'index',
        'publish-error',
        'publish-script',
        'publisher',
      ],
      ...['redis-clock', 'redis-connection', 'types'],
    ].flatMap((name) => [`${name}.d.ts`, `${name}.js`]),
  },
  cli: {
    build: ['infra/release/src/build-library-main.ts', 'packages/cli'],
    files: ['main.js'],
  },
};

/** Programs that import the packages as their users do, and print what they got. */
const PROGRAM = `import { connect, TradewindError } from '@tradewind/client';
import { connect as connectBinary } from '@tradewind/client/binary';
import { toStore } from '@tradewind/client/store';
const client = connect('ws://127.0.0.1:9/ws');
const store = toStore(client.channel('BTC.trade'));
console.log(client.state.name, store.get().items.length, new TradewindError('a', 'b').code);
await client.close();
await connectBinary('ws://127.0.0.1:9/ws').close();
`;
const PRINTS = 'idle 0 a';

let folder: string;
/** A project that has installed all of them. */
let project: string;
const archives = new Map<string, { readonly path: string; readonly files: readonly string[] }>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tradewind-packages-'));
  project = join(folder, 'project');
  for (const [name, { build }] of Object.entries(PACKAGES)) {
    const out = join(folder, name);
    await run(process.execPath, [...build, out], { cwd: ROOT });
    const { stdout } = await run(
      'npm',
      ['pack', out, '--json', '--ignore-scripts', '--pack-destination', folder],
      { cwd: folder },
    );
    const [{ filename, files }] = JSON.parse(stdout) as [
      { readonly filename: string; readonly files: { readonly path: string }[] },
    ];
    const path = join(folder, filename);
    archives.set(name, { path, files: files.map((file) => file.path) });
    const installed = join(project, 'node_modules/@tradewind', name);
    await mkdir(installed, { recursive: true });
    await run('tar', ['-xzf', path, '-C', installed, '--strip-components=1']);
  }
  const dependencies = Object.fromEntries(
    Object.keys(PACKAGES).map((name) => [`@tradewind/${name}`, '*']),
  );
  await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module', dependencies }));
  await writeFile(join(project, 'program.mjs'), PROGRAM);
  // The one package that the command line does not bring with it.
  const ioredis = await realpath(join(ROOT, 'packages/cli/node_modules/ioredis'));
  await symlink(ioredis, join(project, 'node_modules/ioredis'));
}, 180_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function outputOf(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(command, [...args], {
    cwd: project,
    env: { PATH: process.env.PATH, HOME: folder, DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' },
  });
  return stdout.trim();
}

describe.each(Object.entries(PACKAGES))('%s', (name, { files }) => {
  it('packs what it needs and nothing else', () => {
    expect(archives.get(name)!.files.toSorted()).toEqual([...DOCUMENTS, ...files].toSorted());
  });

  it('has documents whose links lead to the archive or the web', async () => {
    const { files } = archives.get(name)!;
    for (const document of files.filter((file) => file.endsWith('.md'))) {
      const text = await readFile(join(project, 'node_modules/@tradewind', name, document), 'utf8');
      const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target!);
      const outside = links.filter((link) => !/^(https?:|#)/.test(link) && !files.includes(link));
      expect(outside).toEqual([]);
    }
  });

  it('is clean by publint', async () => {
    const publint = join(ROOT, 'test/node_modules/publint/src/cli.js');
    const { stdout } = await run(process.execPath, [publint, archives.get(name)!.path, '--strict']);
    expect(stdout).toContain('All good!');
  });

  it('has types that every module resolution of ESM finds', async ({ skip }) => {
    if (name === 'cli') skip('a program has no types');
    if (name !== 'client' && !IS_LONG) skip('only in npm run test:long');
    const attw = join(ROOT, 'test/node_modules/@arethetypeswrong/cli/dist/index.js');
    const { stdout } = await run(process.execPath, [
      ...[attw, archives.get(name)!.path, '--profile', 'esm-only', '--no-color', '--no-emoji'],
    ]);
    // It ends with an error at any problem that is not ignored.
    expect(stdout).toMatch(/"@tradewind\/\w+"[\s\S]*OK \(ESM\)/);
  });
});

it('the client is imported by Node', async () => {
  expect(await outputOf(process.execPath, ['program.mjs'])).toBe(PRINTS);
});

it('the client is imported by Bun', async ({ skip }) => {
  const bun = findRuntime('bun');
  if (bun === undefined) skip('there is no bun here');
  expect(await outputOf(bun!, ['program.mjs'])).toBe(PRINTS);
});

it('the client is imported by Deno', async ({ skip }) => {
  const deno = findRuntime('deno');
  if (deno === undefined) skip('there is no deno here');
  const args = ['run', '--node-modules-dir=manual', '--no-lock', 'program.mjs'];
  expect(await outputOf(deno!, args)).toBe(PRINTS);
});

it('the publisher is imported, and the command line runs', async () => {
  const script = `import('@tradewind/publisher').then(({ createPublisher }) => console.log(typeof createPublisher))`;
  expect(await outputOf(process.execPath, ['--eval', script])).toBe('function');
  const main = 'node_modules/@tradewind/cli/main.js';
  expect(await outputOf(process.execPath, [main, '--help'])).toMatch(/^tradewind COMMAND/);
});
