import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { buildLibrary, publishedManifest } from './build-library.ts';

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-library-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

it('names what was built, and what must be installed', () => {
  const manifest = {
    ...{ name: '@tradewind/x', version: '1.2.3', private: true, exports: './src/index.ts' },
    scripts: { build: '…' },
    dependencies: { '@tradewind/y': 'workspace:*', ioredis: '6.0.0' },
    devDependencies: { z: '1.0.0' },
  };
  const published = {
    ...{ name: '@tradewind/x', version: '1.2.3', dependencies: { ioredis: '^6.0.0' } },
    files: ['*.js', '*.d.ts', 'CHANGELOG.md'],
  };
  expect(publishedManifest(manifest)).toEqual({
    ...published,
    exports: { '.': { types: './index.d.ts', default: './index.js' } },
  });
  expect(publishedManifest({ ...manifest, bin: { x: './src/main.ts' } })).toEqual({
    ...published,
    bin: { x: './main.js' },
  });
});

it('makes a package of the publisher that works outside of the workspace', async () => {
  const out = await temporaryFolder();
  await buildLibrary('packages/publisher', out);
  const files = await readdir(out);
  expect(files).toEqual(expect.arrayContaining(['index.js', 'index.d.ts', 'LICENSE', 'README.md']));
  expect(files.filter((name) => name.includes('.test.'))).toEqual([]);
  const library = await import(pathToFileURL(join(out, 'index.js')).href);
  const publisher = library.createPublisher(async ([name]: string[]) =>
    name === 'time' ? ['1', '2'] : ['k3x9', 1, 0],
  );
  expect(await publisher.publish('a', '1')).toEqual({ epoch: 'k3x9', offset: 1, duplicate: false });
});

it('makes a program of the command line', async () => {
  const out = await temporaryFolder();
  await buildLibrary('packages/cli', out);
  expect(await readFile(join(out, 'main.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  expect(JSON.parse(await readFile(join(out, 'package.json'), 'utf8'))).toMatchObject({
    bin: { tradewind: './main.js' },
    dependencies: { ioredis: expect.any(String) },
  });
  // Nothing but what its package.json names.
  await mkdir(join(out, 'node_modules'));
  const ioredis = new URL('../../../packages/cli/node_modules/ioredis', import.meta.url);
  await symlink(await realpath(ioredis), join(out, 'node_modules', 'ioredis'));
  const { stdout } = await promisify(execFile)(process.execPath, [join(out, 'main.js'), '--help']);
  expect(stdout).toMatch(/^tradewind COMMAND/);
});
