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

it('has an example of the variables in which each name is one', async () => {
  const example = readFileSync(`${TERRAFORM_ROOT}terraform.tfvars.example`, 'utf8');
  const { variables } = await readModule('.');
  const names = [...example.matchAll(/^(?:# )?([a-z_]+) += /gm)].map((match) => match[1]);
  expect(names.filter((name) => name === undefined || !(name in variables))).toEqual([]);
  for (const [name, block] of Object.entries(variables)) {
    if (!('default' in block)) expect(names).toContain(name);
  }
});
