import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { nestedBlocks, readModule } from './hcl.ts';

const run = promisify(execFile);

/** What the guard of a destroy runs, by the state that Terraform remembers. */
async function destroy(state: 'on' | 'off'): Promise<unknown> {
  const { resources } = await readModule('.');
  const guard = resources.find(
    ({ type, name }) => `${type}.${name}` === 'terraform_data.protection',
  );
  const [provisioner] = Object.values(guard?.body.provisioner ?? {}).flat() as HclCommand[];
  expect(provisioner?.when).toContain('destroy');
  const command = String(provisioner?.command).replaceAll('${self.output}', state);
  return await run('sh', ['-c', command]);
}

type HclCommand = { readonly when?: string; readonly command?: string };

it('refuses a destroy of a protected tier, and says what to do', async () => {
  await expect(destroy('on')).rejects.toThrow(
    /nothing was destroyed.*deletion_protection = false/s,
  );
  await expect(destroy('off')).resolves.toBeDefined();
});

it('is told to be on unless a variable says otherwise', async () => {
  const { resources, variables } = await readModule('.');
  const guard = resources.find(({ name }) => name === 'protection');
  expect(guard?.body.input).toContain('var.deletion_protection ? "on" : "off"');
  expect(variables.deletion_protection?.default).toBe(true);
  const example = await readModule('examples/production');
  expect(example.variables.deletion_protection?.default).toBe(true);
  expect(nestedBlocks(guard?.body ?? {}, 'lifecycle')).toEqual([]);
});
