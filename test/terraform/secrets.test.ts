import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type HclModule, modulePaths, parseModule, readModule, TERRAFORM_ROOT } from './hcl.ts';

/** A variable that holds a secret, and not the name of one. */
const SECRET_VARIABLE = /(^|_)(token|password|key|private_key)$/;

/** The argument that a secret's value goes into without being kept in the state. */
const WRITE_ONLY = 'secret_data_wo';

/** Where Memorystore's password is: Google makes it, and so it is in the state. */
const MEMORYSTORE_PASSWORD = 'auth_string';

/** What would show a secret of this module in a plan, an output or the state. */
function faultsOf({ path, variables, outputs, locals, resources }: HclModule): string[] {
  const faults: string[] = [];
  const secrets: string[] = [];
  for (const [name, { sensitive }] of Object.entries(variables)) {
    if (sensitive === true) secrets.push(`var.${name}`);
    else if (SECRET_VARIABLE.test(name)) faults.push(`var.${name} is not sensitive`);
  }
  const namesIn = (value: unknown) => {
    const text = JSON.stringify(value) ?? '';
    return [...secrets, MEMORYSTORE_PASSWORD].filter((secret) =>
      new RegExp(`\\b${secret.replace('.', '\\.')}\\b`).test(text),
    );
  };
  for (const [name, { value }] of Object.entries(outputs)) {
    for (const secret of namesIn(value)) faults.push(`output ${name} shows ${secret}`);
  }
  for (const secret of namesIn(locals)) faults.push(`a local holds ${secret}`);
  for (const { type, name, body } of resources) {
    const { [WRITE_ONLY]: _, secret_data: kept, lifecycle: __, ...rest } = body;
    for (const secret of namesIn(rest)) faults.push(`${type}.${name} holds ${secret}`);
    if (kept !== undefined && !String(kept).endsWith(`.${MEMORYSTORE_PASSWORD}}`)) {
      faults.push(`${type}.${name} keeps a secret in the state`);
    }
  }
  return faults.map((fault) => `${path}: ${fault}`);
}

describe('secrets in Terraform', () => {
  it('are in no output, no plain variable, and in the state only where Google makes them', async () => {
    const modules = await Promise.all(modulePaths().map(readModule));
    expect(modules.flatMap(faultsOf)).toEqual([]);
  });

  it.each([
    ['variable "admin_token" {\n type = string\n }', 'var.admin_token is not sensitive'],
    [
      'variable "admin_token" {\n sensitive = true\n }\noutput "x" {\n value = join("", [var.admin_token])\n }',
      'output x shows var.admin_token',
    ],
    [
      'output "x" {\n value = google_redis_instance.main.auth_string\n }',
      'output x shows auth_string',
    ],
    ['locals {\n url = google_redis_instance.main.auth_string\n }', 'a local holds auth_string'],
    [
      'variable "token" {\n sensitive = true\n }\nresource "a" "b" {\n metadata = { token = var.token }\n }',
      'a.b holds var.token',
    ],
    ['resource "a" "b" {\n secret_data = local.password\n }', 'a.b keeps a secret in the state'],
  ])('control: %j is found', async (code, fault) => {
    expect(faultsOf(await parseModule('fixture', [code]))).toEqual([`fixture: ${fault}`]);
  });

  it('that stay in the state are named in the README', async () => {
    const modules = await Promise.all(modulePaths().map(readModule));
    const holders = modules.flatMap(({ path, texts }) =>
      texts.some((text) => text.includes(`.${MEMORYSTORE_PASSWORD}`)) ? [path] : [],
    );
    expect(holders).toEqual(['modules/redis']);
    const readme = readFileSync(`${TERRAFORM_ROOT}README.md`, 'utf8');
    expect(readme).toContain('`auth_string` of `google_redis_instance`');
  });
});
