import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { readTokens } from './token.ts';

const NO_GCLOUD = () => Promise.reject(new Error('gcloud was asked'));

it('reads tokens from files, without the line breaks at their ends', async () => {
  const folder = mkdtempSync(`${tmpdir()}/token-`);
  try {
    writeFileSync(`${folder}/new`, 'sesame\n');
    writeFileSync(`${folder}/old`, 'abracadabra');
    writeFileSync(`${folder}/empty`, '\n');
    const read = (...names: string[]) =>
      readTokens({ kind: 'file', paths: names.map((name) => `${folder}/${name}`) }, NO_GCLOUD);
    expect(await read('new', 'old')).toEqual(['sesame', 'abracadabra']);
    await expect(read('empty')).rejects.toThrow('a token of the admin ports is empty (file)');
    await expect(read('nowhere')).rejects.toThrow('ENOENT');
    writeFileSync(`${folder}/two`, 'sesame\nabracadabra\n');
    await expect(read('new', 'two')).rejects.toThrow(
      /^a token of the admin ports is not one word of ASCII \(file\)$/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('reads the newest two enabled versions of a secret', async () => {
  const asked: string[] = [];
  const source = { kind: 'secret', name: 'edge-admin-token', project: 'p' } as const;
  const tokens = await readTokens(source, async (args) => {
    asked.push(args.join(' '));
    return args.includes('list') ? '7\n5\n' : `token-${args[3]}\n`;
  });
  expect(tokens).toEqual(['token-7', 'token-5']);
  expect(asked).toEqual([
    'secrets versions list edge-admin-token --project=p --filter=state=enabled --sort-by=~createTime --limit=2 --format=value(name.basename())',
    'secrets versions access 7 --secret=edge-admin-token --project=p',
    'secrets versions access 5 --secret=edge-admin-token --project=p',
  ]);
  await expect(readTokens(source, async () => '')).rejects.toThrow('no enabled version');
});

it('reads it from the environment; without it there is none', async () => {
  expect(await readTokens({ kind: 'variable', text: 'sesame' }, NO_GCLOUD)).toEqual(['sesame']);
  expect(await readTokens({ kind: 'none' }, NO_GCLOUD)).toEqual([]);
});
