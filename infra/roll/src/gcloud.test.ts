import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, expect, it, vi } from 'vitest';
import { createGcloud } from './gcloud.ts';

let folder = '';
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

it('accepts answers of megabytes: a hundred machines with all their fields', async () => {
  const MEGABYTES = 4;
  await installGcloud(`head -c ${MEGABYTES * 1_024 * 1_024} /dev/zero`);
  expect(await createGcloud()(['compute', 'instances', 'list'])).toHaveLength(
    MEGABYTES * 1_024 * 1_024,
  );
});

it('asks no questions, and reports the error of gcloud', async () => {
  await installGcloud('echo "ERROR: no $1" >&2; exit 1');
  await expect(createGcloud()(['version'])).rejects.toThrow('ERROR: no --quiet');
});

it('ends a call in progress', async () => {
  await installGcloud('exec sleep 60');
  const end = new AbortController();
  const call = createGcloud(end.signal)(['version']);
  end.abort();
  await expect(call).rejects.toThrow('aborted');
});

async function installGcloud(script: string): Promise<void> {
  folder = await mkdtemp(`${tmpdir()}/gcloud-`);
  await writeFile(`${folder}/gcloud`, `#!/bin/sh\n${script}\n`);
  await chmod(`${folder}/gcloud`, 0o755);
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
}
