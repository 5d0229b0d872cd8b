import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { runTool } from '../processes/run-tool.ts';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';

async function checkSpelling(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-spelling-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'page.md'), text);
  const config = join(WORKSPACE_ROOT, 'cspell.json');
  const { output } = await runTool('cspell', [
    ...['--no-progress', '--no-summary', '--no-color', '--words-only'],
    ...['--config', config, '--root', folder, join(folder, 'page.md')],
  ]);
  return output.trim();
}

it('names the word of a document that is in no dictionary, and knows those of the project', async () => {
  const known = 'Valkey’s neighbour, `ZREMRANGEBYSCORE`, behavior, varint';
  expect(await checkSpelling(`A clinet resumes on any node.\n\n${known}\n`)).toBe('clinet');
});
