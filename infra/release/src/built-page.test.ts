import { WORKSPACE_ROOT } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { bundleService } from './bundle.ts';
import { findPackages } from './bundled-packages.ts';
import { RELEASED_SERVICES } from './services.ts';

it('releases the console with its page, which needs no builder then, and names whose work the page is', async () => {
  const service = RELEASED_SERVICES.find(({ name }) => name === 'console');
  if (service === undefined) throw new Error('the console is not released');
  const { files, modules } = await bundleService(
    WORKSPACE_ROOT.replace(/\/$/, ''),
    service,
    '0.1.0-abc123',
  );
  const code = files.map((file) => file.code).join('');
  expect(code).toContain('<title>Tradewind');
  expect(code).toContain('"0.1.0-abc123"');
  expect(code).not.toContain('TRADEWIND_RELEASE');
  expect(code).not.toContain('esbuild');
  expect(code).not.toContain(WORKSPACE_ROOT);
  const names = (await findPackages(modules)).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['@preact/signals', 'preact', 'uplot', 'ws']));
  expect(names).not.toContain('esbuild');
});
