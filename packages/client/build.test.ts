import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildPackage } from './build.ts';

const run = promisify(execFile);

let out: string;
let sizes: Readonly<Record<string, number>>;

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'tradewind-client-'));
  sizes = await buildPackage(out);
});
afterAll(() => rm(out, { recursive: true }));

it('takes at most 13.25 KiB in a browser, 1 KiB for store and hook, and 5 KiB for binary frames', () => {
  expect(sizes.index).toBeLessThanOrEqual(13_568);
  expect(sizes.store).toBeLessThanOrEqual(1_024);
  expect(sizes.react).toBeLessThanOrEqual(1_024);
  expect(sizes.binary).toBeLessThanOrEqual(5_120);
});

it('is imported where there is no window, and needs no other package', async () => {
  for (const file of ['index.js', 'index.min.js', 'store.js', 'binary.js', 'binary.min.js']) {
    const text = await readFile(join(out, file), 'utf8');
    if (file.includes('.min.')) {
      // A short message: the text itself would be all of it.
      const found = text.match(/\bwindow\b|\beval\b|new Function|@tradewind|['"`]node:/)?.[0];
      expect(found).toBeUndefined();
    }
    const script = `import(${JSON.stringify(join(out, file))}).then((all) => console.log(Object.keys(all).sort().join()))`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
    expect(stdout.trim()).toMatch(
      { store: /^EMPTY,toStore$/, binary: /^connect$/ }[file.split('.')[0]!] ??
        /ConnectError.*connect.*sessionPositions/,
    );
  }
});

it('names its errors by their codes, also where the names of classes are shortened', async () => {
  const { ConnectError } = (await import(
    join(out, 'index.min.js')
  )) as typeof import('./src/index.ts');
  expect(String(new ConnectError('No.'))).toBe('TradewindError [connect_failed]: No.');
});

it('has types that a strict project accepts', async () => {
  const program = join(out, 'program.ts');
  await writeFile(
    program,
    `import { connect, type Item } from './index.js';
import { toStore } from './store.js';
const client = connect('ws://127.0.0.1/ws');
const channel = client.channel<{ price: string }>('BTC.trade');
for await (const { data, missed } of channel) { const price: string = data.price; void [price, missed?.count]; }
const item = {} as Item<{ price: string }>;
if (item.kind === 'publication') void item.data.price.length;
else if (item.kind === 'gap') void item.reason.length;
// @ts-expect-error: a gap has no data
else void item.data;
void toStore(channel).get().items[0]?.data.price;
`,
  );
  const tsc = new URL('../../node_modules/typescript/bin/tsc', import.meta.url).pathname;
  const options = [
    '--strict',
    '--noEmit',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--types',
    '',
  ];
  const { stdout } = await run(process.execPath, [tsc, ...options, program], { cwd: out }).catch(
    (error: { readonly stdout: string }) => error,
  );
  expect(stdout).toBe('');
}, 60_000);
