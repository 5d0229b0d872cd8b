import { readFileSync } from 'node:fs';
import { TERRAFORM_ROOT } from './hcl.ts';

/** A start-up script as Terraform's `templatefile` would make it. Throws for a value that is missing. */
export function renderStartup(
  template: 'vm-startup.sh.tftpl' | 'redis-startup.sh.tftpl',
  values: Readonly<Record<string, string>>,
): string {
  const functions = readFileSync(`${TERRAFORM_ROOT}startup/functions.sh`, 'utf8');
  const all: Readonly<Record<string, string>> = { functions, ...values };
  const text = readFileSync(`${TERRAFORM_ROOT}startup/${template}`, 'utf8');
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = all[name];
    if (value === undefined) throw new Error(`${template} needs ${name}`);
    return value;
  });
}

/** Text as the templates take it, in base64: no quoting, whatever it holds. */
export function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}
