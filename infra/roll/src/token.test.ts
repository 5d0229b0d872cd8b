import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { readToken } from './token.ts';

const NO_GCLOUD = () => Promise.reject(new Error('gcloud was asked'));

it('reads the token from a file, without the line break at its end', async () => {
  const folder = mkdtempSync(`${tmpdir()}/token-`);
  try {
    writeFileSync(`${folder}/token`, 'sesame\n');
    writeFileSync(`${folder}/empty`, '\n');
    const read = (name: string) =>
      readToken({ kind: 'file', path: `${folder}/${name}` }, NO_GCLOUD);
    expect(await read('token')).toBe('sesame');
    await expect(read('empty')).rejects.toThrow('the token of the admin ports is empty (file)');
    await expect(read('nowhere')).rejects.toThrow('ENOENT');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('reads it from Secret Manager', async () => {
  const asked: string[] = [];
  const source = { kind: 'secret', name: 'edge-admin-token', project: 'p' } as const;
  const token = await readToken(source, async (args) => {
    asked.push(args.join(' '));
    return 'sesame';
  });
  expect(token).toBe('sesame');
  expect(asked).toEqual(['secrets versions access latest --secret=edge-admin-token --project=p']);
});

it('reads it from the environment, or has none', async () => {
  expect(await readToken({ kind: 'variable', text: 'sesame' }, NO_GCLOUD)).toBe('sesame');
  expect(await readToken({ kind: 'none' }, NO_GCLOUD)).toBeUndefined();
});
