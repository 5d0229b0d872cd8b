import { readFile } from 'node:fs/promises';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { ALLOCATOR_SETTINGS } from './contenders.ts';

it('starts the edge with the allocator’s settings of its unit', async () => {
  const unit = await readFile(`${WORKSPACE_ROOT}infra/systemd/tradewind-edge.service`, 'utf8');
  const settings = [...unit.matchAll(/^Environment=(MALLOC_\w+)=(.*)$/gm)];
  expect(Object.fromEntries(settings.map(([, name, value]) => [name, value]))).toEqual(
    ALLOCATOR_SETTINGS,
  );
});
