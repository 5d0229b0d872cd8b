import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { modulePaths, parseModule, readModule, TERRAFORM_ROOT } from './hcl.ts';
import { interfaceText, withInterface } from './module-readme.ts';

const DOCUMENTED = modulePaths().filter((path) => !path.startsWith('examples/'));

describe.each(DOCUMENTED)('the README of %s', (path) => {
  it('lists the inputs and outputs of the code', async () => {
    const readme = readFileSync(`${TERRAFORM_ROOT}${path}/README.md`, 'utf8');
    expect(readme).toBe(withInterface(readme, interfaceText(await readModule(path))));
  });
});

it('would notice a variable that is not listed', async () => {
  const before = await parseModule('fixture', ['variable "a" {\n  type = string\n}']);
  const after = await parseModule('fixture', [
    'variable "a" {\n  type = string\n}\nvariable "b" {\n  type = string\n}',
  ]);
  const readme = `Text\n\n${interfaceText(before)}\n`;
  expect(withInterface(readme, interfaceText(before))).toBe(readme);
  expect(withInterface(readme, interfaceText(after))).not.toBe(readme);
});

it('lists what an object is made of, with its defaults', async () => {
  const module = await parseModule('fixture', [
    'variable "a" {\n  type = object({ b = string, c = optional(number, 5) })\n}',
  ]);
  expect(interfaceText(module)).toContain('| `a.b` | `string` | required | |');
  expect(interfaceText(module)).toContain('| `a.c` | `number` | `5` | |');
});

it('has an example of the variables in which each name is one', async () => {
  const example = readFileSync(
    `${TERRAFORM_ROOT}examples/production/terraform.tfvars.example`,
    'utf8',
  );
  const { variables } = await readModule('examples/production');
  const names = [...example.matchAll(/^(?:# )?([a-z_]+) += /gm)].map((match) => match[1]);
  expect(names.filter((name) => name === undefined || !(name in variables))).toEqual([]);
  for (const [name, block] of Object.entries(variables)) {
    if (!('default' in block) && block.ephemeral !== true) expect(names).toContain(name);
  }
});

it.each([
  ['a lost region', /A region that fails/],
  ['a failover, tried', /gcloud redis instances failover/],
  ['another Redis', /\| another Redis \| .*two applies/],
  ['a new authority of Redis', /Memorystore's authority, .*roll/],
  ['the token at the take-down', /Take it down[^#]*TF_VAR_admin_token/],
  ['one address of many clients', /The throttle[^#]*throttle\.requests/],
  ['an import after a lost answer', /terraform import ADDRESS ID/],
])('has an answer to %s', (_, answer) => {
  expect(readFileSync(`${TERRAFORM_ROOT}README.md`, 'utf8')).toMatch(answer);
});

it.each([
  ['nobody fails it over', /Nobody fails it over but you/],
  ['another machine type', /set-machine-type NAME-b/],
])('says of Redis on VMs: %s', (_, answer) => {
  expect(readFileSync(`${TERRAFORM_ROOT}modules/redis_vm/README.md`, 'utf8')).toMatch(answer);
});

it.each(['terraform/README.md', 'docs/first-apply.md'])(
  'names in %s only outputs of the example, scripts and variables that there are',
  async (path) => {
    const text = readFileSync(`${TERRAFORM_ROOT}../${path}`, 'utf8');
    const named = (pattern: RegExp) => [
      ...new Set([...text.matchAll(pattern)].map(([, it]) => it)),
    ];
    const { outputs, variables } = await readModule('examples/production');
    const { scripts } = JSON.parse(readFileSync(`${TERRAFORM_ROOT}../package.json`, 'utf8')) as {
      scripts: object;
    };
    const asked = named(/terraform output\s+(?:-raw\s+)?`?([a-z_]+)/g);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((name) => !(String(name) in outputs))).toEqual([]);
    expect(named(/npm run ([a-z:]+)/g).filter((name) => !(String(name) in scripts))).toEqual([]);
    expect(named(/TF_VAR_(\w+)/g).filter((name) => !(String(name) in variables))).toEqual([]);
  },
);

it('tells a roll nothing but options that infra/roll has', async () => {
  const usage = readFileSync(`${TERRAFORM_ROOT}../infra/roll/src/settings.ts`, 'utf8');
  const { outputs } = await readModule('.');
  const texts = [
    readFileSync(`${TERRAFORM_ROOT}README.md`, 'utf8').match(/npm run roll[^`]*?```/g),
    String(outputs.how_to_roll?.value),
  ];
  const options = texts.flatMap((text) => String(text).match(/--[a-z-]+/g) ?? []);
  expect(new Set(options).size).toBeGreaterThanOrEqual(6);
  for (const option of options) expect(usage).toMatch(new RegExp(`${option}\\b`));
});
